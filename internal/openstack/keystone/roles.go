package keystone

import (
	"maps"
	"net/http"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/identity"
)

func (a *api) roleRoutes() []wire.Route {
	return []wire.Route{
		route("GET", "/v3/roles", systemReader, "list_roles", a.roles),
		route("POST", "/v3/roles", wire.Admin, "create_role", a.createRole),
		route("GET", "/v3/roles/{role_id}", systemReader, "get_role", a.role),
		route("PATCH", "/v3/roles/{role_id}", wire.Admin, "update_role", a.updateRole),
		route("DELETE", "/v3/roles/{role_id}", wire.Admin, "delete_role", a.deleteRole),
	}
}

func showRole(r *wire.Request, role cloud.Role) wire.M {
	out := wire.M{}
	maps.Copy(out, role.Extra)
	maps.Copy(out, wire.M{
		"id": role.ID, "name": role.Name, "domain_id": orNull(role.DomainID), "description": orNull(role.Description), "options": wire.M{},
		"links": wire.M{"self": r.Link("/v3/roles/" + role.ID)},
	})
	return out
}

func (a *api) roles(r *wire.Request) (*wire.Response, error) {
	f, err := filter(r)
	if err != nil {
		return nil, err
	}
	found, err := a.svc.Roles(r.Context(), f)
	if err != nil {
		return nil, err
	}
	return list(r, "roles", found, showRole), nil
}

func (a *api) createRole(r *wire.Request) (*wire.Response, error) {
	b, err := decode(r, "role")
	if err != nil {
		return nil, err
	}
	name := b.name("name", 255)
	b.need("name", name != nil)
	role := cloud.Role{Name: valueOr(name, ""), Description: valueOr(b.text("description"), ""), DomainID: valueOr(b.text("domain_id"), "")}
	if b.err != nil {
		return nil, b.err
	}
	role.Extra = b.extra()
	if role, err = a.svc.CreateRole(r.Context(), role); err != nil {
		return nil, err
	}
	return one(http.StatusCreated, "role", showRole(r, role)), nil
}

func (a *api) role(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("role_id")
	role, err := a.svc.Role(r.Context(), id)
	if err != nil {
		return nil, missing(err, "role", id)
	}
	return one(http.StatusOK, "role", showRole(r, role)), nil
}

func (a *api) updateRole(r *wire.Request) (*wire.Response, error) {
	b, err := decode(r, "role")
	if err != nil {
		return nil, err
	}
	p := identity.RolePatch{Name: b.name("name", 255), Description: b.text("description")}
	if b.err != nil {
		return nil, b.err
	}
	b.take("domain_id") // it does not change
	p.Extra = b.extra()
	id := r.PathValue("role_id")
	role, err := a.svc.UpdateRole(r.Context(), id, p)
	if err != nil {
		return nil, missing(err, "role", id)
	}
	return one(http.StatusOK, "role", showRole(r, role)), nil
}

func (a *api) deleteRole(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("role_id")
	return done(missing(a.svc.DeleteRole(r.Context(), id), "role", id))
}
