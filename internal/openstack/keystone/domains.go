package keystone

import (
	"net/http"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/identity"
)

func (a *api) domainRoutes() []wire.Route {
	own := or(systemReader, "of the token's domain", func(c cloud.Caller, path func(string) string) bool {
		id := path("domain_id")
		return id == c.DomainID || id == c.ProjectDomainID
	})
	return []wire.Route{
		route("GET", "/v3/domains", systemReader, "list_domains", a.domains),
		route("POST", "/v3/domains", wire.Admin, "create_domain", a.createDomain),
		route("GET", "/v3/domains/{domain_id}", own, "get_domain", a.domain),
		route("PATCH", "/v3/domains/{domain_id}", wire.Admin, "update_domain", a.updateDomain),
		route("DELETE", "/v3/domains/{domain_id}", wire.Admin, "delete_domain", a.deleteDomain),
	}
}

func showDomain(r *wire.Request, d cloud.Domain) wire.M {
	return wire.M{
		"id": d.ID, "name": d.Name, "description": d.Description, "enabled": d.Enabled, "tags": tagsOf(d.Tags), "options": wire.M{},
		"links": wire.M{"self": r.Link("/v3/domains/" + d.ID)},
	}
}

// tagsOf is a list that is never null.
func tagsOf(tags []string) []string {
	if tags == nil {
		return []string{}
	}
	return tags
}

func (a *api) domains(r *wire.Request) (*wire.Response, error) {
	f, err := filter(r)
	if err != nil {
		return nil, err
	}
	found, err := a.svc.Domains(r.Context(), f)
	if err != nil {
		return nil, err
	}
	return list(r, "domains", found, showDomain), nil
}

func (a *api) createDomain(r *wire.Request) (*wire.Response, error) {
	b, err := decode(r, "domain")
	if err != nil {
		return nil, err
	}
	name := b.name("name", 64)
	b.need("name", name != nil)
	d := cloud.Domain{
		Name: valueOr(name, ""), Description: valueOr(b.text("description"), ""), Enabled: valueOr(b.boolean("enabled"), true),
		Tags: valueOr(b.texts("tags"), nil),
	}
	if b.err != nil {
		return nil, b.err
	}
	if d, err = a.svc.CreateDomain(r.Context(), d); err != nil {
		return nil, err
	}
	return one(http.StatusCreated, "domain", showDomain(r, d)), nil
}

func (a *api) domain(r *wire.Request) (*wire.Response, error) {
	d, err := a.svc.Domain(r.Context(), r.PathValue("domain_id"))
	if err != nil {
		return nil, missing(err, "domain", r.PathValue("domain_id"))
	}
	return one(http.StatusOK, "domain", showDomain(r, d)), nil
}

// missing says a NotFound in keystone's words.
func missing(err error, noun, id string) error {
	if cloud.Is(err, cloud.NotFound) {
		return cloud.E("keystone."+noun, cloud.NotFound, "Could not find %s: %s.", noun, id)
	}
	return err
}

func (a *api) updateDomain(r *wire.Request) (*wire.Response, error) {
	b, err := decode(r, "domain")
	if err != nil {
		return nil, err
	}
	id := r.PathValue("domain_id")
	p := identity.DomainPatch{Name: b.name("name", 64), Description: b.text("description"), Enabled: b.boolean("enabled"), Tags: b.texts("tags")}
	if b.err != nil {
		return nil, b.err
	}
	d, err := a.svc.UpdateDomain(r.Context(), id, p)
	if err != nil {
		return nil, missing(err, "domain", id)
	}
	return one(http.StatusOK, "domain", showDomain(r, d)), nil
}

func (a *api) deleteDomain(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("domain_id")
	return done(missing(a.svc.DeleteDomain(r.Context(), id), "domain", id))
}
