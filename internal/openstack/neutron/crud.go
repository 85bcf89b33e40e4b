package neutron

import (
	"net/http"
	"strconv"
	"strings"

	"hearth/internal/openstack/wire"
	"hearth/internal/service/network"
)

// crud is what can be done with a kind of resource.
type crud[T any] struct {
	kind
	render func(r *wire.Request, v T) wire.M
	create func(r *wire.Request, bodies []*body) ([]T, error)
	list   func(r *wire.Request, f network.Filter) ([]T, error)
	get    func(r *wire.Request, id string) (T, error)
	update func(r *wire.Request, id string, b *body) (T, error) // nil for what does not change
	remove func(r *wire.Request, id string) error
}

// routes are the routes of the resource.
func (c crud[T]) routes() []wire.Route {
	all, one := rest+c.path, rest+c.path+"/{id}"
	routes := []wire.Route{
		{Method: "GET", Path: all, Policy: wire.Allow(wire.Reader, "get_"+c.name), Handler: c.doList},
		{Method: "POST", Path: all, Policy: wire.Allow(wire.Member, "create_"+c.name), Handler: c.doCreate},
		{Method: "GET", Path: one, Policy: wire.Allow(wire.Reader, "get_"+c.name), Handler: c.doGet},
		{Method: "DELETE", Path: one, Policy: wire.Allow(wire.Member, "delete_"+c.name), Handler: c.doRemove},
	}
	if c.update != nil {
		routes = append(routes, wire.Route{Method: "PUT", Path: one, Policy: wire.Allow(wire.Member, "update_"+c.name), Handler: c.doUpdate})
	}
	return routes
}

func (c crud[T]) doList(r *wire.Request) (*wire.Response, error) {
	q := r.URL.Query()
	if err := checkFilters(c.kind, q); err != nil {
		return nil, err
	}
	rows, err := c.list(r, narrow(q))
	if err != nil {
		return nil, err
	}
	items := make([]wire.M, len(rows))
	for i, v := range rows {
		items[i] = c.render(r, v)
	}
	return answerList(r, c.kind, q, items)
}

func (c crud[T]) doCreate(r *wire.Request) (*wire.Response, error) {
	bodies, bulk, err := decode(r, c.kind)
	if err != nil {
		return nil, err
	}
	made, err := c.create(r, bodies)
	if err != nil {
		return nil, err
	}
	if !bulk {
		return wire.Created(wire.M{c.name: c.show(r, made[0])}), nil
	}
	items := make([]wire.M, len(made))
	for i, v := range made {
		items[i] = c.show(r, v)
	}
	return wire.Created(wire.M{c.collection: items}), nil
}

// show is the resource without what is for filters only.
func (c crud[T]) show(r *wire.Request, v T) wire.M { return visible(c.kind, c.render(r, v)) }

func (c crud[T]) doGet(r *wire.Request) (*wire.Response, error) {
	v, err := c.get(r, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{c.name: wire.Select(c.show(r, v), wire.Fields(r.URL.Query()))}), nil
}

func (c crud[T]) doUpdate(r *wire.Request) (*wire.Response, error) {
	r, err := c.ifMatch(r)
	if err != nil {
		return nil, err
	}
	b, err := decodeUpdate(r, c.kind)
	if err != nil {
		return nil, err
	}
	v, err := c.update(r, r.PathValue("id"), b)
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{c.name: c.show(r, v)}), nil
}

func (c crud[T]) doRemove(r *wire.Request) (*wire.Response, error) {
	r, err := c.ifMatch(r)
	if err != nil {
		return nil, err
	}
	if err := c.remove(r, r.PathValue("id")); err != nil {
		return nil, err
	}
	return &wire.Response{Status: http.StatusNoContent}, nil
}

// requests reads every body of a creation.
func requests[R any](bodies []*body, read func(b *body) R) ([]R, error) {
	out := make([]R, len(bodies))
	for i, b := range bodies {
		if out[i] = read(b); b.err != nil {
			return nil, b.err
		}
	}
	return out, nil
}

// ifMatch reads If-Match: revision_number=N, which makes a change wait for nobody
// else's. What else the header may say is not for neutron.
func (c crud[T]) ifMatch(r *wire.Request) (*wire.Request, error) {
	text, ok := strings.CutPrefix(r.Header.Get("If-Match"), "revision_number=")
	if !ok {
		return r, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return nil, badRequest("revision_number must be an integer, not '%s'", text)
	}
	bound := *r
	bound.Request = r.WithContext(network.ExpectRevision(r.Context(), c.collection, r.PathValue("id"), n))
	return &bound, nil
}
