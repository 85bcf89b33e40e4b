package keystone

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/identity"
)

// ofProject is a caller whose token is for the project.
func ofProject(c cloud.Caller, path func(string) string) bool {
	return path("project_id") == c.ProjectID
}

func (a *api) projectRoutes() []wire.Route {
	return []wire.Route{
		route("GET", "/v3/projects", systemReader, "list_projects", a.projects),
		route("POST", "/v3/projects", wire.Admin, "create_project", a.createProject),
		route("GET", "/v3/projects/{project_id}", or(systemReader, "of the project", ofProject), "get_project", a.project),
		route("PATCH", "/v3/projects/{project_id}", wire.Admin, "update_project", a.updateProject),
		route("DELETE", "/v3/projects/{project_id}", wire.Admin, "delete_project", a.deleteProject),
		route("GET", "/v3/users/{user_id}/projects", readerOrSelf, "list_user_projects", a.userProjects),
	}
}

func showProject(r *wire.Request, p cloud.Project) wire.M {
	out := wire.M{}
	maps.Copy(out, p.Extra)
	maps.Copy(out, wire.M{
		"id": p.ID, "name": p.Name, "domain_id": p.DomainID, "parent_id": p.ParentID, "description": p.Description,
		"enabled": p.Enabled, "is_domain": false, "tags": tagsOf(p.Tags), "options": wire.M{},
		"links": wire.M{"self": r.Link("/v3/projects/" + p.ID)},
	})
	return out
}

func (a *api) projects(r *wire.Request) (*wire.Response, error) {
	f, err := filter(r)
	if err != nil {
		return nil, err
	}
	if flag(r, "is_domain") {
		return a.domainsAsProjects(r, f)
	}
	found, err := a.svc.Projects(r.Context(), f)
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(p cloud.Project) bool { return !tagged(r, p.Tags) })
	return list(r, "projects", found, showProject), nil
}

// tagged tells whether tags pass the filters tags, tags-any, not-tags and
// not-tags-any.
func tagged(r *wire.Request, tags []string) bool {
	q := r.URL.Query()
	count := func(name string) (asked, has int) {
		for t := range strings.SplitSeq(q.Get(name), ",") {
			asked++
			if slices.Contains(tags, t) {
				has++
			}
		}
		return asked, has
	}
	all, hasAll := count("tags")
	_, hasAny := count("tags-any")
	notAll, hasNotAll := count("not-tags")
	_, hasNotAny := count("not-tags-any")
	return !(q.Has("tags") && hasAll < all || q.Has("tags-any") && hasAny == 0 ||
		q.Has("not-tags") && hasNotAll == notAll || q.Has("not-tags-any") && hasNotAny > 0)
}

func (a *api) createProject(r *wire.Request) (*wire.Response, error) {
	b, err := decode(r, "project")
	if err != nil {
		return nil, err
	}
	name := b.name("name", 64)
	b.need("name", name != nil)
	actsAsDomain := valueOr(b.boolean("is_domain"), false)
	p := cloud.Project{
		Name: valueOr(name, ""), Description: valueOr(b.text("description"), ""), Enabled: valueOr(b.boolean("enabled"), true),
		DomainID: valueOr(b.text("domain_id"), ""), ParentID: valueOr(b.text("parent_id"), ""), Tags: valueOr(b.texts("tags"), nil),
	}
	if b.err == nil {
		b.err = checkTags(p.Tags)
	}
	if b.err != nil {
		return nil, b.err
	}
	if actsAsDomain {
		return a.createDomainProject(r, p)
	}
	if p.DomainID == "" && p.ParentID == "" {
		p.DomainID = homeDomain(r.Caller)
	}
	p.Extra = b.extra()
	if p, err = a.svc.CreateProject(r.Context(), p); err != nil {
		return nil, err
	}
	return one(http.StatusCreated, "project", showProject(r, p)), nil
}

// homeDomain is the domain that is meant when a body names none: the token's.
func homeDomain(c cloud.Caller) string {
	switch {
	case c.DomainID != "":
		return c.DomainID
	case c.ProjectDomainID != "":
		return c.ProjectDomainID
	}
	return cloud.DefaultDomainID
}

func (a *api) project(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("project_id")
	p, err := a.svc.Project(r.Context(), id)
	if d, ok := a.actingDomain(r, err, id); ok {
		return one(http.StatusOK, "project", domainAsProject(r, d)), nil
	}
	if err != nil {
		return nil, missing(err, "project", id)
	}
	out := showProject(r, p)
	if err := a.hierarchy(r, out, p); err != nil {
		return nil, err
	}
	return one(http.StatusOK, "project", out), nil
}

func (a *api) updateProject(r *wire.Request) (*wire.Response, error) {
	b, err := decode(r, "project")
	if err != nil {
		return nil, err
	}
	id := r.PathValue("project_id")
	old, err := a.svc.Project(r.Context(), id)
	if d, ok := a.actingDomain(r, err, id); ok {
		return a.updateDomainProject(r, b, d)
	}
	if err != nil {
		return nil, missing(err, "project", id)
	}
	b.fixed("domain_id", old.DomainID)
	b.fixed("parent_id", old.ParentID)
	b.boolean("is_domain")
	p := identity.ProjectPatch{Name: b.name("name", 64), Description: b.text("description"), Enabled: b.boolean("enabled"), Tags: b.texts("tags")}
	if b.err == nil && p.Tags != nil {
		b.err = checkTags(*p.Tags)
	}
	if b.err != nil {
		return nil, b.err
	}
	p.Extra = b.extra()
	next, err := a.svc.UpdateProject(r.Context(), id, p)
	if err != nil {
		return nil, missing(err, "project", id)
	}
	return one(http.StatusOK, "project", showProject(r, next)), nil
}

func (a *api) deleteProject(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("project_id")
	err := a.svc.DeleteProject(r.Context(), id)
	if _, ok := a.actingDomain(r, err, id); ok {
		err = a.svc.DeleteDomain(r.Context(), id)
	}
	return done(missing(err, "project", id))
}

func (a *api) userProjects(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("user_id")
	if _, err := a.svc.User(r.Context(), id); err != nil {
		return nil, missing(err, "user", id)
	}
	found, err := a.svc.UserProjects(r.Context(), id)
	if err != nil {
		return nil, err
	}
	return list(r, "projects", found, showProject), nil
}
