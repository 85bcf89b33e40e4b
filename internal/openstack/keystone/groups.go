package keystone

import (
	"maps"
	"net/http"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/identity"
)

func (a *api) groupRoutes() []wire.Route {
	const each, member = "/v3/groups/{group_id}", "/v3/groups/{group_id}/users/{user_id}"
	return []wire.Route{
		route("GET", "/v3/groups", systemReader, "list_groups", a.groups),
		route("POST", "/v3/groups", wire.Admin, "create_group", a.createGroup),
		route("GET", each, systemReader, "get_group", a.group),
		route("PATCH", each, wire.Admin, "update_group", a.updateGroup),
		route("DELETE", each, wire.Admin, "delete_group", a.deleteGroup),
		route("GET", each+"/users", systemReader, "list_users_in_group", a.members),
		route("PUT", member, wire.Admin, "add_user_to_group", a.addMember),
		route("GET", member, systemReader, "check_user_in_group", a.isMember),
		route("DELETE", member, wire.Admin, "remove_user_from_group", a.removeMember),
		route("GET", "/v3/users/{user_id}/groups", readerOrSelf, "list_groups_for_user", a.userGroups),
	}
}

func showGroup(r *wire.Request, g cloud.Group) wire.M {
	out := wire.M{}
	maps.Copy(out, g.Extra)
	maps.Copy(out, wire.M{
		"id": g.ID, "name": g.Name, "domain_id": g.DomainID, "description": g.Description, "links": wire.M{"self": r.Link("/v3/groups/" + g.ID)},
	})
	return out
}

func (a *api) groups(r *wire.Request) (*wire.Response, error) {
	f, err := filter(r)
	if err != nil {
		return nil, err
	}
	found, err := a.svc.Groups(r.Context(), f)
	if err != nil {
		return nil, err
	}
	return list(r, "groups", found, showGroup), nil
}

func (a *api) createGroup(r *wire.Request) (*wire.Response, error) {
	b, err := decode(r, "group")
	if err != nil {
		return nil, err
	}
	name := b.name("name", 64)
	b.need("name", name != nil)
	g := cloud.Group{Name: valueOr(name, ""), Description: valueOr(b.text("description"), ""), DomainID: valueOr(b.text("domain_id"), "")}
	if b.err != nil {
		return nil, b.err
	}
	if g.DomainID == "" {
		g.DomainID = homeDomain(r.Caller)
	}
	g.Extra = b.extra()
	if g, err = a.svc.CreateGroup(r.Context(), g); err != nil {
		return nil, err
	}
	return one(http.StatusCreated, "group", showGroup(r, g)), nil
}

func (a *api) group(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("group_id")
	g, err := a.svc.Group(r.Context(), id)
	if err != nil {
		return nil, missing(err, "group", id)
	}
	return one(http.StatusOK, "group", showGroup(r, g)), nil
}

func (a *api) updateGroup(r *wire.Request) (*wire.Response, error) {
	b, err := decode(r, "group")
	if err != nil {
		return nil, err
	}
	id := r.PathValue("group_id")
	old, err := a.svc.Group(r.Context(), id)
	if err != nil {
		return nil, missing(err, "group", id)
	}
	b.fixed("domain_id", old.DomainID)
	p := identity.GroupPatch{Name: b.name("name", 64), Description: b.text("description")}
	if b.err != nil {
		return nil, b.err
	}
	p.Extra = b.extra()
	g, err := a.svc.UpdateGroup(r.Context(), id, p)
	if err != nil {
		return nil, missing(err, "group", id)
	}
	return one(http.StatusOK, "group", showGroup(r, g)), nil
}

func (a *api) deleteGroup(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("group_id")
	return done(missing(a.svc.DeleteGroup(r.Context(), id), "group", id))
}

func (a *api) members(r *wire.Request) (*wire.Response, error) {
	found, err := a.svc.Members(r.Context(), r.PathValue("group_id"))
	if err != nil {
		return nil, err
	}
	return list(r, "users", found, showUser), nil
}

func (a *api) addMember(r *wire.Request) (*wire.Response, error) {
	return done(a.svc.AddMember(r.Context(), r.PathValue("group_id"), r.PathValue("user_id")))
}

func (a *api) isMember(r *wire.Request) (*wire.Response, error) {
	return done(a.svc.IsMember(r.Context(), r.PathValue("group_id"), r.PathValue("user_id")))
}

func (a *api) removeMember(r *wire.Request) (*wire.Response, error) {
	return done(a.svc.RemoveMember(r.Context(), r.PathValue("group_id"), r.PathValue("user_id")))
}

func (a *api) userGroups(r *wire.Request) (*wire.Response, error) {
	found, err := a.svc.UserGroups(r.Context(), r.PathValue("user_id"))
	if err != nil {
		return nil, err
	}
	return list(r, "groups", found, showGroup), nil
}
