package keystone

import (
	"maps"
	"net/http"
	"regexp"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/identity"
)

func (a *api) endpointRoutes() []wire.Route {
	const each = "/v3/endpoints/{endpoint_id}"
	return []wire.Route{
		route("GET", "/v3/endpoints", systemReader, "list_endpoints", a.endpoints),
		route("POST", "/v3/endpoints", wire.Admin, "create_endpoint", a.createEndpoint),
		route("GET", each, systemReader, "get_endpoint", a.endpoint),
		route("PATCH", each, wire.Admin, "update_endpoint", a.updateEndpoint),
		route("DELETE", each, wire.Admin, "delete_endpoint", a.deleteEndpoint),
	}
}

func showEndpoint(r *wire.Request, e cloud.CatalogEndpoint) wire.M {
	out := wire.M{}
	maps.Copy(out, e.Extra)
	maps.Copy(out, wire.M{
		"id": e.ID, "service_id": e.ServiceID, "interface": e.Interface, "url": address(r, e), "enabled": e.Enabled,
		"region": orNull(e.RegionID), "region_id": orNull(e.RegionID), "links": wire.M{"self": r.Link("/v3/endpoints/" + e.ID)},
	})
	for name, value := range map[string]string{"name": e.Name, "description": e.Description} {
		if value != "" {
			out[name] = value
		}
	}
	return out
}

func (a *api) endpoints(r *wire.Request) (*wire.Response, error) {
	q := r.URL.Query()
	found, err := a.svc.CatalogEndpoints(r.Context(), q.Get("service_id"), q.Get("interface"), q.Get("region_id"))
	if err != nil {
		return nil, err
	}
	return list(r, "endpoints", found, showEndpoint), nil
}

// absolute is what keystone takes for a URL.
var absolute = regexp.MustCompile(`^[a-zA-Z0-9+.-]+:.+`)

// endpointPatch reads the attributes of an endpoint.
func endpointPatch(b *body) identity.EndpointPatch {
	p := identity.EndpointPatch{
		ServiceID: b.text("service_id"), Interface: b.text("interface"), RegionID: b.text("region_id"), URL: b.text("url"),
		Name: b.text("name"), Description: b.text("description"), Enabled: b.boolean("enabled"),
	}
	if old := b.text("region"); old != nil && p.RegionID == nil {
		p.RegionID, p.NewRegion = old, *old != ""
	}
	switch {
	case b.err != nil:
	case p.Interface != nil && !slices.Contains(identity.Interfaces, *p.Interface):
		b.err = cloud.E("keystone.endpoint", cloud.Invalid, "Invalid input for field 'interface': %q is not one of ['admin', 'internal', 'public']", *p.Interface)
	case p.URL != nil && !absolute.MatchString(*p.URL):
		b.err = cloud.E("keystone.endpoint", cloud.Invalid, "Invalid input for field 'url': %q does not match '^[a-zA-Z0-9+.-]+:.+'", *p.URL)
	}
	return p
}

func (a *api) createEndpoint(r *wire.Request) (*wire.Response, error) {
	b, err := decode(r, "endpoint")
	if err != nil {
		return nil, err
	}
	p := endpointPatch(b)
	b.need("interface", p.Interface != nil)
	b.need("service_id", p.ServiceID != nil)
	b.need("url", p.URL != nil)
	if b.err != nil {
		return nil, b.err
	}
	e := cloud.CatalogEndpoint{
		ServiceID: *p.ServiceID, Interface: *p.Interface, URL: *p.URL, RegionID: valueOr(p.RegionID, ""), Name: valueOr(p.Name, ""),
		Description: valueOr(p.Description, ""), Enabled: valueOr(p.Enabled, true), Extra: b.extra(),
	}
	if e, err = a.svc.CreateEndpoint(r.Context(), e, p.NewRegion); err != nil {
		return nil, err
	}
	return one(http.StatusCreated, "endpoint", showEndpoint(r, e)), nil
}

func (a *api) endpoint(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("endpoint_id")
	e, err := a.svc.CatalogEndpoint(r.Context(), id)
	if err != nil {
		return nil, missing(err, "endpoint", id)
	}
	return one(http.StatusOK, "endpoint", showEndpoint(r, e)), nil
}

func (a *api) updateEndpoint(r *wire.Request) (*wire.Response, error) {
	b, err := decode(r, "endpoint")
	if err != nil {
		return nil, err
	}
	p := endpointPatch(b)
	if b.err != nil {
		return nil, b.err
	}
	p.Extra = b.extra()
	id := r.PathValue("endpoint_id")
	e, err := a.svc.UpdateEndpoint(r.Context(), id, p)
	if err != nil {
		return nil, missing(err, "endpoint", id)
	}
	return one(http.StatusOK, "endpoint", showEndpoint(r, e)), nil
}

func (a *api) deleteEndpoint(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("endpoint_id")
	return done(missing(a.svc.DeleteEndpoint(r.Context(), id), "endpoint", id))
}
