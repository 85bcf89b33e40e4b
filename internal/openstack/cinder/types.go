package cinder

import (
	"encoding/json"
	"regexp"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

func (a *api) typeRoutes() []wire.Route {
	specs := a.extraSpecs()
	return []wire.Route{
		route("GET", "/types", wire.Reader, "volume_extension:type_get_all", a.listTypes),
		route("POST", "/types", wire.Admin, "volume_extension:type_create", a.createType),
		route("GET", "/types/{id}", wire.Reader, "volume_extension:type_get", a.showType),
		route("PUT", "/types/{id}", wire.Admin, "volume_extension:type_update", a.updateType),
		route("DELETE", "/types/{id}", wire.Admin, "volume_extension:type_delete", a.deleteType),
		route("GET", "/types/{id}/extra_specs", wire.Reader, "volume_extension:types_extra_specs:index", specs.list),
		route("POST", "/types/{id}/extra_specs", wire.Admin, "volume_extension:types_extra_specs:create", specs.add),
		route("GET", "/types/{id}/extra_specs/{key}", wire.Reader, "volume_extension:types_extra_specs:show", specs.show),
		route("PUT", "/types/{id}/extra_specs/{key}", wire.Admin, "volume_extension:types_extra_specs:update", specs.set),
		route("DELETE", "/types/{id}/extra_specs/{key}", wire.Admin, "volume_extension:types_extra_specs:delete", specs.drop),
		route("GET", "/types/{id}/os-volume-type-access", wire.Admin, "volume_extension:volume_type_access", a.listAccess),
		route("POST", "/types/{id}/action", wire.Admin, "volume_extension:volume_type_access:addProjectAccess", a.typeAction),
	}
}

func typeView(r *wire.Request, t cloud.VolumeType) wire.M {
	m := wire.M{
		"id": t.ID, "name": t.Name, "is_public": t.Public, "description": orNull(t.Description), "os-volume-type-access:is_public": t.Public,
		"extra_specs": orEmpty(t.ExtraSpecs),
	}
	if r.Caller.IsAdmin() {
		m["qos_specs_id"] = orNull(t.QoSID)
	} else {
		m["extra_specs"] = visibleSpecs(t)
	}
	return m
}

// visibleSpecs are the extra specs that users see.
func visibleSpecs(t cloud.VolumeType) map[string]string {
	out := map[string]string{}
	for _, name := range []string{"RESKEY:availability_zones", "multiattach", "replication_enabled"} {
		if v, ok := t.ExtraSpecs[name]; ok {
			out[name] = v
		}
	}
	return out
}

func (a *api) listTypes(r *wire.Request) (*wire.Response, error) {
	filters := []string{"name", "is_public", "description"}
	if r.Version.AtLeast(52) {
		filters = append(filters, "extra_specs")
	}
	l, err := parseList(r, filters...)
	if err != nil {
		return nil, err
	}
	if specs, ok := l.Equal["extra_specs"]; ok {
		delete(l.Equal, "extra_specs")
		if l.Metadata, err = parseDict(specs); err != nil {
			return nil, err
		}
	}
	public, err := publicFilter(r)
	if err != nil {
		return nil, err
	}
	if !r.Caller.IsAdmin() {
		public = nil // public ones, and those that its project was given
	}
	list, more, err := a.svc.Types(r.Context(), r.Caller, public, l)
	if err != nil {
		return nil, err
	}
	return listBody(r, "volume_types", list, more, -1, func(t cloud.VolumeType) string { return t.ID },
		func(t cloud.VolumeType) wire.M { return typeView(r, t) }), nil
}

func (a *api) showType(r *wire.Request) (*wire.Response, error) {
	t, err := a.svc.Type(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"volume_type": typeView(r, t)}), nil
}

// specName is what cinder takes as the key of a spec.
var specName = regexp.MustCompile(`^[\w\.\-\:\s]{1,255}$`)

func checkSpecs(m map[string]string) error {
	for k, v := range m {
		if !specName.MatchString(k) {
			return cloud.E("cinder.specs", cloud.Invalid, "Key %q can only contain alphanumeric characters, underscores, periods, colons and hyphens.", k)
		}
		if err := wire.Length("extra_specs", v, 0, 255); err != nil {
			return err
		}
	}
	return nil
}

// typeIn is the body of a type.
type typeIn struct {
	Name        *string             `json:"name"`
	Description *string             `json:"description"`
	Public      wire.Opt[wire.Bool] `json:"is_public"`
	Access      wire.Opt[wire.Bool] `json:"os-volume-type-access:is_public"`
	Specs       map[string]string   `json:"extra_specs"`
}

func (in typeIn) check() error {
	if in.Name != nil {
		if err := wire.Name("name", *in.Name); err != nil {
			return err
		}
	}
	return wire.First(checkName(nil, in.Description), checkSpecs(in.Specs))
}

func (a *api) createType(r *wire.Request) (*wire.Response, error) {
	var in typeIn
	if err := r.DecodeObject("volume_type", &in); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	if in.Name == nil {
		return nil, cloud.E("cinder.createType", cloud.Invalid, "'name' is a required property")
	}
	public := in.Access.Or(in.Public.Or(true))
	t, err := a.svc.CreateType(r.Context(), cloud.VolumeType{Name: *in.Name, Description: text(in.Description), Public: bool(public), ExtraSpecs: orEmpty(in.Specs)})
	if err != nil {
		return nil, err
	}
	m := typeView(r, t)
	delete(m, "qos_specs_id")
	return wire.JSON(wire.M{"volume_type": m}), nil
}

func (a *api) updateType(r *wire.Request) (*wire.Response, error) {
	var in typeIn
	if err := r.DecodeObject("volume_type", &in); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	if in.Name == nil && in.Description == nil && !in.Public.Set {
		return nil, cloud.E("cinder.updateType", cloud.Invalid, "Specify volume type name, description, is_public or a combination thereof.")
	}
	t, err := a.svc.ChangeType(r.Context(), r.Caller, r.PathValue("id"), func(t *cloud.VolumeType) error {
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
	m := typeView(r, t)
	delete(m, "qos_specs_id")
	delete(m, "os-volume-type-access:is_public")
	return wire.JSON(wire.M{"volume_type": m}), nil
}

func (a *api) deleteType(r *wire.Request) (*wire.Response, error) {
	return wire.Accepted(nil), a.svc.DeleteType(r.Context(), r.Caller, r.PathValue("id"))
}

func (a *api) listAccess(r *wire.Request) (*wire.Response, error) {
	t, err := a.svc.Type(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	if t.Public {
		return nil, cloud.E("cinder.access", cloud.NotFound, "Access list not available for public volume types.")
	}
	list := []wire.M{}
	for _, p := range t.Projects {
		list = append(list, wire.M{"volume_type_id": t.ID, "project_id": p})
	}
	return wire.JSON(wire.M{"volume_type_access": list}), nil
}

func (a *api) typeAction(r *wire.Request) (*wire.Response, error) {
	const op = "cinder.typeAction"
	name, raw, err := actionIn(r)
	if err != nil {
		return nil, err
	}
	if name != "addProjectAccess" && name != "removeProjectAccess" {
		return nil, unknownAction(name)
	}
	var in struct{ Project string }
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, malformed(err)
	}
	if !cloud.IsID(in.Project) {
		return nil, cloud.E(op, cloud.Invalid, "Invalid input for field/attribute project. Value: %s. '%s' is not a 'uuid'", in.Project, in.Project)
	}
	_, err = a.svc.ChangeType(r.Context(), r.Caller, r.PathValue("id"), func(t *cloud.VolumeType) error {
		i := slices.Index(t.Projects, in.Project)
		switch {
		case t.Public:
			return cloud.E(op, cloud.Invalid, "Invalid volume type: Type access modification is not applicable to public volume type.")
		case name == "addProjectAccess" && i >= 0:
			return cloud.E(op, cloud.Conflict, "Volume type access for %s / %s combination already exists.", t.ID, in.Project)
		case name == "addProjectAccess":
			t.Projects = append(t.Projects, in.Project)
		case i < 0:
			return cloud.E(op, cloud.NotFound, "Volume type access not found for %s / %s combination.", t.ID, in.Project)
		default:
			t.Projects = slices.Delete(t.Projects, i, i+1)
		}
		return nil
	})
	return wire.Accepted(nil), err
}
