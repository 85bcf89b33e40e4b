package keystone

import (
	"maps"
	"net/http"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/identity"
)

func (a *api) serviceRoutes() []wire.Route {
	const each = "/v3/services/{service_id}"
	return []wire.Route{
		route("GET", "/v3/services", systemReader, "list_services", a.services),
		route("POST", "/v3/services", wire.Admin, "create_service", a.createService),
		route("GET", each, systemReader, "get_service", a.service),
		route("PATCH", each, wire.Admin, "update_service", a.updateService),
		route("DELETE", each, wire.Admin, "delete_service", a.deleteService),
	}
}

func showService(r *wire.Request, s cloud.CatalogService) wire.M {
	out := wire.M{}
	maps.Copy(out, s.Extra)
	maps.Copy(out, wire.M{
		"id": s.ID, "type": s.Type, "name": s.Name, "enabled": s.Enabled, "description": s.Description,
		"links": wire.M{"self": r.Link("/v3/services/" + s.ID)},
	})
	return out
}

func (a *api) services(r *wire.Request) (*wire.Response, error) {
	q := r.URL.Query()
	found, err := a.svc.CatalogServices(r.Context(), q.Get("type"), q.Get("name"))
	if err != nil {
		return nil, err
	}
	return list(r, "services", found, showService), nil
}

func (a *api) createService(r *wire.Request) (*wire.Response, error) {
	b, err := decode(r, "service")
	if err != nil {
		return nil, err
	}
	typ := b.name("type", 255)
	b.need("type", typ != nil)
	s := cloud.CatalogService{
		Type: valueOr(typ, ""), Name: valueOr(b.text("name"), ""), Description: valueOr(b.text("description"), ""), Enabled: valueOr(b.boolean("enabled"), true),
	}
	if b.err != nil {
		return nil, b.err
	}
	s.Extra = b.extra()
	if s, err = a.svc.CreateCatalogService(r.Context(), s); err != nil {
		return nil, err
	}
	return one(http.StatusCreated, "service", showService(r, s)), nil
}

func (a *api) service(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("service_id")
	s, err := a.svc.CatalogService(r.Context(), id)
	if err != nil {
		return nil, missing(err, "service", id)
	}
	return one(http.StatusOK, "service", showService(r, s)), nil
}

func (a *api) updateService(r *wire.Request) (*wire.Response, error) {
	b, err := decode(r, "service")
	if err != nil {
		return nil, err
	}
	p := identity.ServicePatch{Type: b.name("type", 255), Name: b.text("name"), Description: b.text("description"), Enabled: b.boolean("enabled")}
	if b.err != nil {
		return nil, b.err
	}
	p.Extra = b.extra()
	id := r.PathValue("service_id")
	s, err := a.svc.UpdateCatalogService(r.Context(), id, p)
	if err != nil {
		return nil, missing(err, "service", id)
	}
	return one(http.StatusOK, "service", showService(r, s)), nil
}

func (a *api) deleteService(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("service_id")
	return done(missing(a.svc.DeleteCatalogService(r.Context(), id), "service", id))
}
