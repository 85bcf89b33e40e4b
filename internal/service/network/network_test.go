package network_test

import (
	"context"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/service/network"
	"hearth/internal/store"
)

var (
	admin = cloud.Caller{ProjectID: "padmin", UserID: "root", Roles: []string{"admin", "member", "reader"}}
	alice = cloud.Caller{ProjectID: "pa", UserID: "alice", Roles: []string{"member", "reader"}}
	bob   = cloud.Caller{ProjectID: "pb", UserID: "bob", Roles: []string{"member", "reader"}}
)

type fixture struct {
	*network.Service
	t     *testing.T
	ctx   context.Context
	store *store.Store
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	st, err := store.Open(t.Context(), "sqlite::memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return &fixture{network.New(st, cloud.NewFakeClock(), network.Options{}), t, t.Context(), st}
}

func TestBootstrap(t *testing.T) {
	f := newFixture(t)
	for range 2 {
		if err := f.Bootstrap(f.ctx, "padmin", network.DefaultFirst()); err != nil {
			t.Fatal(err)
		}
	}
	nets, err := f.ListNetworks(f.ctx, alice, network.Filter{})
	if err != nil || len(nets) != 2 {
		t.Fatalf("%v %v", nets, err)
	}
	t.Logf("%+v", nets)
	ports, _ := f.ListPorts(f.ctx, admin, network.Filter{})
	for _, p := range ports {
		t.Logf("%+v", p)
	}
}
