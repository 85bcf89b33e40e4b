package cinder

import (
	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"net/http"
)

func (a *api) groupTypeRoutes() []wire.Route {
	specs := a.groupSpecs()
	return []wire.Route{
		since(11, route("GET", "/group_types", wire.Reader, "group:group_types:get_all", a.listGroupTypes)),
		since(11, route("POST", "/group_types", wire.Admin, "group:group_types:create", a.createGroupType)),
		since(11, route("GET", "/group_types/{id}", wire.Reader, "group:group_types:get", a.showGroupType)),
		since(11, route("PUT", "/group_types/{id}", wire.Admin, "group:group_types:update", a.updateGroupType)),
		since(11, route("DELETE", "/group_types/{id}", wire.Admin, "group:group_types:delete", a.deleteGroupType)),
		since(11, route("GET", "/group_types/{id}/group_specs", wire.Admin, "group:group_types_specs:get_all", specs.list)),
		since(11, route("POST", "/group_types/{id}/group_specs", wire.Admin, "group:group_types_specs:create", specs.add)),
		since(11, route("GET", "/group_types/{id}/group_specs/{key}", wire.Admin, "group:group_types_specs:get", specs.show)),
		since(11, route("PUT", "/group_types/{id}/group_specs/{key}", wire.Admin, "group:group_types_specs:update", specs.set)),
		since(11, route("DELETE", "/group_types/{id}/group_specs/{key}", wire.Admin, "group:group_types_specs:delete", specs.drop)),
	}
}

func groupTypeView(r *wire.Request, t cloud.GroupType) wire.M {
	m := wire.M{"id": t.ID, "name": t.Name, "description": orNull(t.Description), "is_public": t.Public}
	if r.Caller.IsAdmin() {
		m["group_specs"] = orEmpty(t.Specs)
	}
	return m
}

func (a *api) listGroupTypes(r *wire.Request) (*wire.Response, error) {
	l, err := parseList(r, "name", "description")
	if err != nil {
		return nil, err
	}
	public, err := publicFilter(r)
	if err != nil {
		return nil, err
	}
	list, more, err := a.svc.GroupTypes(r.Context(), r.Caller, public, l)
	if err != nil {
		return nil, err
	}
	return listBody(r, "group_types", list, more, -1, func(t cloud.GroupType) string { return t.ID },
		func(t cloud.GroupType) wire.M { return groupTypeView(r, t) }), nil
}

func (a *api) showGroupType(r *wire.Request) (*wire.Response, error) {
	t, err := a.svc.GroupType(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"group_type": groupTypeView(r, t)}), nil
}

// groupTypeIn is the body of a group type.
type groupTypeIn struct {
	Name        *string             `json:"name"`
	Description *string             `json:"description"`
	Public      wire.Opt[wire.Bool] `json:"is_public"`
	Specs       map[string]string   `json:"group_specs"`
}

func readGroupType(r *wire.Request) (in groupTypeIn, err error) {
	known := "name description is_public"
	if r.Method == http.MethodPost {
		known += " group_specs"
	}
	if err := strictObject(r, "group_type", &in, known); err != nil {
		return in, err
	}
	if in.Name != nil {
		err = wire.Name("name", *in.Name)
	}
	return in, wire.First(err, checkName(nil, in.Description), checkSpecs(in.Specs))
}

func (a *api) createGroupType(r *wire.Request) (*wire.Response, error) {
	in, err := readGroupType(r)
	if err != nil {
		return nil, err
	}
	if in.Name == nil {
		return nil, cloud.E("cinder.createGroupType", cloud.Invalid, "'name' is a required property")
	}
	t, err := a.svc.CreateGroupType(r.Context(), cloud.GroupType{Name: *in.Name, Description: text(in.Description), Public: bool(in.Public.Or(true)), Specs: in.Specs})
	if err != nil {
		return nil, err
	}
	return wire.Accepted(wire.M{"group_type": groupTypeView(r, t)}), nil
}

func (a *api) changeGroupType(r *wire.Request, fn func(t *cloud.GroupType) error) (cloud.GroupType, error) {
	return a.svc.ChangeGroupType(r.Context(), r.Caller, r.PathValue("id"), func(t *cloud.GroupType) error {
		t.Specs = orEmpty(t.Specs)
		return fn(t)
	})
}

func (a *api) updateGroupType(r *wire.Request) (*wire.Response, error) {
	in, err := readGroupType(r)
	if err != nil {
		return nil, err
	}
	t, err := a.changeGroupType(r, func(t *cloud.GroupType) error {
		if in.Name != nil {
			t.Name = *in.Name
		}
		if in.Description != nil {
			t.Description = *in.Description
		}
		t.Public = bool(in.Public.Or(wire.Bool(t.Public)))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"group_type": groupTypeView(r, t)}), nil
}

func (a *api) deleteGroupType(r *wire.Request) (*wire.Response, error) {
	return wire.Accepted(nil), a.svc.DeleteGroupType(r.Context(), r.Caller, r.PathValue("id"))
}
