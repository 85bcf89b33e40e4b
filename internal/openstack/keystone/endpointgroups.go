package keystone

import (
	"net/http"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/identity"
)

// endpointGroupRoutes are the extension OS-EP-FILTER: which endpoints a project
// sees.
func (a *api) endpointGroupRoutes() []wire.Route {
	const all, each = "/v3/OS-EP-FILTER/endpoint_groups", "/v3/OS-EP-FILTER/endpoint_groups/{group_id}"
	const project, direct = "/v3/OS-EP-FILTER/projects/{project_id}", "/v3/OS-EP-FILTER/projects/{project_id}/endpoints/{endpoint_id}"
	return []wire.Route{
		route("GET", all, systemReader, "list_endpoint_groups", a.endpointGroups),
		route("POST", all, wire.Admin, "create_endpoint_group", a.createEndpointGroup),
		route("GET", each, systemReader, "get_endpoint_group", a.endpointGroup),
		route("PATCH", each, wire.Admin, "update_endpoint_group", a.updateEndpointGroup),
		route("DELETE", each, wire.Admin, "delete_endpoint_group", a.deleteEndpointGroup),
		route("GET", each+"/endpoints", systemReader, "list_endpoints_associated_with_endpoint_group", a.endpointsOf),
		route("GET", each+"/projects", systemReader, "list_projects_associated_with_endpoint_group", a.linkedProjects),
		route("PUT", each+"/projects/{project_id}", wire.Admin, "add_endpoint_group_to_project", a.link),
		route("GET", each+"/projects/{project_id}", systemReader, "get_endpoint_group_in_project", a.linked),
		route("DELETE", each+"/projects/{project_id}", wire.Admin, "remove_endpoint_group_from_project", a.unlink),
		route("GET", project+"/endpoints", systemReader, "list_endpoints_for_project", a.projectEndpoints),
		route("GET", project+"/endpoint_groups", systemReader, "list_endpoint_groups_for_project", a.projectGroups),
		route("PUT", direct, wire.Admin, "add_endpoint_to_project", a.link),
		route("GET", direct, systemReader, "check_endpoint_in_project", a.linked),
		route("DELETE", direct, wire.Admin, "remove_endpoint_from_project", a.unlink),
		route("GET", "/v3/OS-EP-FILTER/endpoints/{endpoint_id}/projects", systemReader, "list_projects_for_endpoint", a.linkedProjects),
	}
}

func showEndpointGroup(r *wire.Request, g cloud.EndpointGroup) wire.M {
	return wire.M{
		"id": g.ID, "name": g.Name, "description": g.Description, "filters": g.Filters,
		"links": wire.M{"self": r.Link("/v3/OS-EP-FILTER/endpoint_groups/" + g.ID)},
	}
}

func (a *api) endpointGroups(r *wire.Request) (*wire.Response, error) {
	found, err := a.svc.EndpointGroups(r.Context(), r.URL.Query().Get("name"))
	if err != nil {
		return nil, err
	}
	return list(r, "endpoint_groups", found, showEndpointGroup), nil
}

// filtersOf reads the filters of a group; nil if there are none in the body.
func filtersOf(b *body) map[string]any {
	v, ok := b.take("filters")
	if !ok || b.err != nil {
		return nil
	}
	filters, isObject := v.(map[string]any)
	if !isObject {
		b.fail("filters", "object", v)
		return nil
	}
	for name := range filters {
		if !slices.Contains([]string{"service_id", "region_id", "interface", "enabled"}, name) {
			b.err = cloud.E("keystone.filters", cloud.Invalid, "The filter %q is not one of service_id, region_id, interface and enabled", name)
		}
	}
	if face, ok := filters["interface"].(string); ok && !slices.Contains(identity.Interfaces, face) {
		b.err = cloud.E("keystone.filters", cloud.Invalid, "Invalid input for field 'interface': %q is not one of ['admin', 'internal', 'public']", face)
	}
	return filters
}

func (a *api) createEndpointGroup(r *wire.Request) (*wire.Response, error) {
	b, err := decode(r, "endpoint_group")
	if err != nil {
		return nil, err
	}
	name, filters := b.name("name", 255), filtersOf(b)
	b.need("name", name != nil)
	b.need("filters", filters != nil)
	g := cloud.EndpointGroup{Name: valueOr(name, ""), Description: valueOr(b.text("description"), ""), Filters: filters}
	if b.err != nil {
		return nil, b.err
	}
	if g, err = a.svc.CreateEndpointGroup(r.Context(), g); err != nil {
		return nil, err
	}
	return one(http.StatusCreated, "endpoint_group", showEndpointGroup(r, g)), nil
}

func (a *api) endpointGroup(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("group_id")
	g, err := a.svc.EndpointGroup(r.Context(), id)
	if err != nil {
		return nil, missing(err, "endpoint group", id)
	}
	return one(http.StatusOK, "endpoint_group", showEndpointGroup(r, g)), nil
}

func (a *api) updateEndpointGroup(r *wire.Request) (*wire.Response, error) {
	b, err := decode(r, "endpoint_group")
	if err != nil {
		return nil, err
	}
	p := identity.EndpointGroupPatch{Name: b.name("name", 255), Description: b.text("description"), Filters: filtersOf(b)}
	if b.err != nil {
		return nil, b.err
	}
	id := r.PathValue("group_id")
	g, err := a.svc.UpdateEndpointGroup(r.Context(), id, p)
	if err != nil {
		return nil, missing(err, "endpoint group", id)
	}
	return one(http.StatusOK, "endpoint_group", showEndpointGroup(r, g)), nil
}

func (a *api) deleteEndpointGroup(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("group_id")
	return done(missing(a.svc.DeleteEndpointGroup(r.Context(), id), "endpoint group", id))
}

func (a *api) endpointsOf(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("group_id")
	found, err := a.svc.EndpointsOf(r.Context(), id)
	if err != nil {
		return nil, missing(err, "endpoint group", id)
	}
	return list(r, "endpoints", found, showEndpoint), nil
}

// linkOf reads a link from the path: of a group, or of an endpoint.
func linkOf(r *wire.Request) cloud.EndpointLink {
	l := cloud.EndpointLink{ProjectID: r.PathValue("project_id"), Target: r.PathValue("endpoint_id")}
	if l.Target == "" {
		l.Target, l.Group = r.PathValue("group_id"), true
	}
	return l
}

func (a *api) link(r *wire.Request) (*wire.Response, error) {
	return done(a.svc.Link(r.Context(), linkOf(r)))
}

func (a *api) linked(r *wire.Request) (*wire.Response, error) {
	l := linkOf(r)
	if err := a.svc.Linked(r.Context(), l); err != nil || !l.Group {
		return done(err)
	}
	return a.endpointGroup(r)
}

func (a *api) unlink(r *wire.Request) (*wire.Response, error) {
	return done(a.svc.Unlink(r.Context(), linkOf(r)))
}

func (a *api) linkedProjects(r *wire.Request) (*wire.Response, error) {
	l := linkOf(r)
	links, err := a.svc.Links(r.Context(), "", l.Target, l.Group)
	if err != nil {
		return nil, err
	}
	found := []cloud.Project{}
	for _, l := range links {
		p, err := a.svc.Project(r.Context(), l.ProjectID)
		if err != nil {
			return nil, missing(err, "project", l.ProjectID)
		}
		found = append(found, p)
	}
	return list(r, "projects", found, showProject), nil
}

func (a *api) projectEndpoints(r *wire.Request) (*wire.Response, error) {
	found, err := a.svc.ProjectEndpoints(r.Context(), r.PathValue("project_id"))
	if err != nil {
		return nil, err
	}
	return list(r, "endpoints", found, showEndpoint), nil
}

func (a *api) projectGroups(r *wire.Request) (*wire.Response, error) {
	links, err := a.svc.Links(r.Context(), r.PathValue("project_id"), "", true)
	if err != nil {
		return nil, err
	}
	found := []cloud.EndpointGroup{}
	for _, l := range links {
		g, err := a.svc.EndpointGroup(r.Context(), l.Target)
		if err != nil {
			return nil, missing(err, "endpoint group", l.Target)
		}
		found = append(found, g)
	}
	return list(r, "endpoint_groups", found, showEndpointGroup), nil
}
