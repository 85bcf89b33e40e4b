package keystone

import (
	"net/http"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/identity"
)

// domainAsProject shows a domain as the project that acts as it: in keystone
// every domain is one too.
func domainAsProject(r *wire.Request, d cloud.Domain) wire.M {
	return wire.M{
		"id": d.ID, "name": d.Name, "domain_id": nil, "parent_id": nil, "description": d.Description, "enabled": d.Enabled, "is_domain": true,
		"tags": tagsOf(d.Tags), "options": wire.M{}, "links": wire.M{"self": r.Link("/v3/projects/" + d.ID)},
	}
}

// actingDomain looks for a domain where no project was found.
func (a *api) actingDomain(r *wire.Request, err error, id string) (cloud.Domain, bool) {
	if !cloud.Is(err, cloud.NotFound) {
		return cloud.Domain{}, false
	}
	d, err := a.svc.Domain(r.Context(), id)
	return d, err == nil
}

func (a *api) domainsAsProjects(r *wire.Request, f identity.Filter) (*wire.Response, error) {
	found, err := a.svc.Domains(r.Context(), f)
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(d cloud.Domain) bool { return !tagged(r, d.Tags) || f.DomainID != "" || f.ParentID != "" })
	return list(r, "projects", found, domainAsProject), nil
}

func (a *api) createDomainProject(r *wire.Request, p cloud.Project) (*wire.Response, error) {
	if p.DomainID != "" || p.ParentID != "" {
		return nil, cloud.E("keystone.projects", cloud.Invalid, "Invalid input: a project that acts as a domain has neither domain_id nor parent_id.")
	}
	d, err := a.svc.CreateDomain(r.Context(), cloud.Domain{Name: p.Name, Description: p.Description, Enabled: p.Enabled, Tags: p.Tags})
	if err != nil {
		return nil, err
	}
	return one(http.StatusCreated, "project", domainAsProject(r, d)), nil
}

func (a *api) updateDomainProject(r *wire.Request, b *body, d cloud.Domain) (*wire.Response, error) {
	p := identity.DomainPatch{Name: b.name("name", 64), Description: b.text("description"), Enabled: b.boolean("enabled"), Tags: b.texts("tags")}
	if b.err == nil && p.Tags != nil {
		b.err = checkTags(*p.Tags)
	}
	if b.err != nil {
		return nil, b.err
	}
	d, err := a.svc.UpdateDomain(r.Context(), d.ID, p)
	if err != nil {
		return nil, missing(err, "project", d.ID)
	}
	return one(http.StatusOK, "project", domainAsProject(r, d)), nil
}

// hierarchy adds what is above and below a project, as the query asks: as ids,
// nested, or as a list of those projects that the caller has a role in.
func (a *api) hierarchy(r *wire.Request, out wire.M, p cloud.Project) error {
	for _, way := range []string{"parents", "subtree"} {
		asList, asIDs := flag(r, way+"_as_list"), flag(r, way+"_as_ids")
		if asList && asIDs {
			return cloud.E("keystone.hierarchy", cloud.Invalid, "Cannot use %[1]s_as_list and %[1]s_as_ids query params at the same time.", way)
		}
		if !asList && !asIDs {
			continue
		}
		find := a.svc.Parents
		if way == "subtree" {
			find = a.svc.Subtree
		}
		found, err := find(r.Context(), p.ID)
		if err != nil {
			return err
		}
		switch {
		case asList:
			if out[way], err = a.mine(r, found); err != nil {
				return err
			}
		case way == "parents":
			out[way] = chain(found, p.DomainID)
		default:
			out[way] = nested(found, p.ID)
		}
	}
	return nil
}

// mine are those of some projects that the caller has a role in.
func (a *api) mine(r *wire.Request, found []cloud.Project) ([]wire.M, error) {
	own, err := a.svc.UserProjects(r.Context(), r.Caller.UserID)
	if err != nil {
		return nil, err
	}
	out := []wire.M{}
	for _, p := range found {
		if slices.ContainsFunc(own, func(o cloud.Project) bool { return o.ID == p.ID }) {
			out = append(out, wire.M{"project": showProject(r, p)})
		}
	}
	return out, nil
}

// chain nests the projects above, the nearest outermost, with the domain's own
// innermost.
func chain(above []cloud.Project, domainID string) wire.M {
	out := wire.M{domainID: nil}
	for _, p := range slices.Backward(above) {
		out = wire.M{p.ID: out}
	}
	return out
}

// nested nests the projects below one; null for none.
func nested(below []cloud.Project, id string) any {
	out := wire.M{}
	for _, p := range below {
		if p.ParentID == id {
			out[p.ID] = nested(below, p.ID)
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}
