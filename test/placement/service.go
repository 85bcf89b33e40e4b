package main

import (
	"context"
	"net/http"
	"strings"
	"sync"

	"hearth/internal/cloud"
	"hearth/internal/openstack/placement"
	"hearth/internal/openstack/wire"
	"hearth/internal/schedule"
	service "hearth/internal/service/placement"
	"hearth/internal/store"
)

// api is the placement API over a store of its own.
type api struct {
	ctx   context.Context
	mu    sync.Mutex
	store *store.Store
	mux   *wire.Mux
}

func newService(ctx context.Context) (*api, error) {
	a := &api{ctx: ctx}
	return a, a.reset()
}

// reset begins with an empty store.
func (a *api) reset() error {
	st, err := store.Open(a.ctx, "sqlite::memory:")
	if err != nil {
		return err
	}
	own := placement.New(service.New(st, cloud.SystemClock{}, schedule.DefaultRatios()))
	own.Prefix = "" // as the files have their links
	mux := wire.NewMux([]wire.API{own}, words{}, wire.Options{})
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.store
	a.store, a.mux = st, mux
	if old != nil {
		return old.Close()
	}
	return nil
}

func (a *api) close() { _ = a.store.Close() }

func (a *api) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/reset" {
		if err := a.reset(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
		return
	}
	a.mu.Lock()
	mux := a.mux
	a.mu.Unlock()
	if token := r.Header.Get("X-Auth-Token"); token != "" {
		r.Header.Set("X-Auth-Token", token+"|"+r.Header.Get("X-Roles")+"|"+r.Header.Get("X-Project-Id"))
	}
	mux.ServeHTTP(w, r)
}

// words authenticates who says so (placement/auth.py, NoAuthMiddleware): a user,
// perhaps with a project, their roles and another project; admin is one.
type words struct{}

// Authenticate reads a token of these words.
func (words) Authenticate(_ context.Context, token string) (cloud.Caller, error) {
	who, rest, _ := strings.Cut(token, "|")
	roles, other, _ := strings.Cut(rest, "|")
	user, project, _ := strings.Cut(who, ":")
	if project == "" {
		project = user
	}
	if other != "" {
		project = other
	}
	c := cloud.Caller{UserID: user, ProjectID: project}
	switch {
	case roles != "":
		for role := range strings.SplitSeq(roles, ",") {
			c.Roles = append(c.Roles, strings.TrimSpace(role))
		}
	case user == cloud.RoleAdmin:
		c.Roles = []string{cloud.RoleAdmin}
	}
	return c, nil
}
