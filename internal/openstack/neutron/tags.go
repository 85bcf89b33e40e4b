package neutron

import (
	"net/http"
	"path"
	"slices"

	"hearth/internal/openstack/wire"
	"hearth/internal/service/network"
)

// tagRoutes are the routes of tags, of every collection that has them.
func (a *api) tagRoutes() []wire.Route {
	var routes []wire.Route
	for _, collection := range network.Tagged {
		all := rest + "/" + collection + "/{id}/tags"
		get, set := wire.Allow(wire.Reader, "get_"+path.Base(collection)+"_tags"), wire.Allow(wire.Member, "update_"+path.Base(collection)+"_tags")
		h := tagHandler{a.svc, collection}
		routes = append(
			routes,
			wire.Route{Method: "GET", Path: all, Policy: get, Handler: h.list},
			wire.Route{Method: "PUT", Path: all, Policy: set, Handler: h.replace},
			wire.Route{Method: "DELETE", Path: all, Policy: set, Handler: h.clear},
			wire.Route{Method: "GET", Path: all + "/{tag}", Policy: get, Handler: h.check},
			wire.Route{Method: "PUT", Path: all + "/{tag}", Policy: set, Handler: h.add},
			wire.Route{Method: "DELETE", Path: all + "/{tag}", Policy: set, Handler: h.remove},
		)
	}
	return routes
}

type tagHandler struct {
	svc        *network.Service
	collection string
}

func (h tagHandler) list(r *wire.Request) (*wire.Response, error) {
	tags, err := h.svc.Tags(r.Context(), r.Caller, h.collection, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"tags": words(tags)}), nil
}

func (h tagHandler) check(r *wire.Request) (*wire.Response, error) {
	tags, err := h.svc.Tags(r.Context(), r.Caller, h.collection, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	if !slices.Contains(tags, r.PathValue("tag")) {
		return nil, network.NoTag(r.PathValue("tag"))
	}
	return wire.NoContent(), nil
}

func (h tagHandler) replace(r *wire.Request) (*wire.Response, error) {
	b := &body{}
	if err := r.Decode(&b.members); err != nil {
		return nil, err
	}
	tags := b.words("tags")
	if tags == nil {
		return nil, badRequest("Invalid tags body")
	}
	if b.err != nil {
		return nil, b.err
	}
	out, err := h.svc.SetTags(r.Context(), r.Caller, h.collection, r.PathValue("id"), *tags)
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"tags": words(out)}), nil
}

func (h tagHandler) clear(r *wire.Request) (*wire.Response, error) {
	if _, err := h.svc.SetTags(r.Context(), r.Caller, h.collection, r.PathValue("id"), nil); err != nil {
		return nil, err
	}
	return wire.NoContent(), nil
}

func (h tagHandler) add(r *wire.Request) (*wire.Response, error) {
	if _, err := h.svc.AddTag(r.Context(), r.Caller, h.collection, r.PathValue("id"), r.PathValue("tag")); err != nil {
		return nil, err
	}
	return &wire.Response{Status: http.StatusCreated}, nil
}

func (h tagHandler) remove(r *wire.Request) (*wire.Response, error) {
	if err := h.svc.RemoveTag(r.Context(), r.Caller, h.collection, r.PathValue("id"), r.PathValue("tag")); err != nil {
		return nil, err
	}
	return wire.NoContent(), nil
}
