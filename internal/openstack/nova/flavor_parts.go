package nova

import (
	"encoding/json"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/compute"
)

// unquoted is a JSON string's or number's text.
func unquoted(raw json.RawMessage) string { return strings.Trim(string(raw), `"`) }

func accessView(id string, projects []string) *wire.Response {
	list := []wire.M{}
	for _, p := range projects {
		list = append(list, wire.M{"flavor_id": id, "tenant_id": p})
	}
	return wire.JSON(wire.M{"flavor_access": list})
}

func (a *api) flavorAccess(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("id")
	projects, err := a.svc.FlavorAccess(r.Context(), r.Caller, id)
	if err != nil {
		return nil, err
	}
	return accessView(id, projects), nil
}

func (a *api) flavorAction(r *wire.Request) (*wire.Response, error) {
	raw, name, err := actionName(r)
	if err != nil {
		return nil, err
	}
	if name != "addTenantAccess" && name != "removeTenantAccess" {
		return nil, noAction(name)
	}
	var in map[string]struct{ Tenant string }
	if err := a.schemas.decodeBytes(r, raw, "flavors.json#/"+name, &in); err != nil {
		return nil, err
	}
	id, tenant := r.PathValue("id"), in[name].Tenant
	var projects []string
	if name == "addTenantAccess" {
		projects, err = a.svc.AddFlavorAccess(r.Context(), id, tenant, r.Version.AtLeast(7))
	} else {
		projects, err = a.svc.RemoveFlavorAccess(r.Context(), id, tenant)
	}
	if err != nil {
		return nil, err
	}
	return accessView(id, projects), nil
}

func (a *api) listSpecs(r *wire.Request) (*wire.Response, error) {
	f, err := a.svc.Flavor(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"extra_specs": orEmpty(f.ExtraSpecs)}), nil
}

func (a *api) showSpec(r *wire.Request) (*wire.Response, error) {
	id, key := r.PathValue("id"), r.PathValue("key")
	f, err := a.svc.Flavor(r.Context(), r.Caller, id)
	if err != nil {
		return nil, err
	}
	value, ok := f.ExtraSpecs[key]
	if !ok {
		return nil, compute.NoSpec("nova.showSpec", id, key)
	}
	return wire.JSON(wire.M{key: value}), nil
}

// texts turns values that may be numbers into text, as they were written.
func texts(in map[string]json.RawMessage) map[string]string {
	out := make(map[string]string, len(in))
	for name, raw := range in {
		var s string
		if json.Unmarshal(raw, &s) != nil {
			s = string(raw)
		}
		out[name] = s
	}
	return out
}

func (a *api) createSpecs(r *wire.Request) (*wire.Response, error) {
	var in struct {
		Specs map[string]json.RawMessage `json:"extra_specs"`
	}
	if err := a.schemas.decode(r, "flavors.json#/specs", &in); err != nil {
		return nil, err
	}
	specs := texts(in.Specs)
	if err := checkSpecs(r, specs); err != nil {
		return nil, err
	}
	if _, err := a.svc.SetFlavorSpecs(r.Context(), r.PathValue("id"), specs); err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"extra_specs": specs}), nil
}

func (a *api) updateSpec(r *wire.Request) (*wire.Response, error) {
	var in map[string]json.RawMessage
	if err := a.schemas.decode(r, "flavors.json#/spec", &in); err != nil {
		return nil, err
	}
	specs := texts(in)
	if _, ok := specs[r.PathValue("key")]; !ok {
		return nil, cloud.E("nova.updateSpec", cloud.Invalid, "Request body and URI mismatch")
	}
	if err := checkSpecs(r, specs); err != nil {
		return nil, err
	}
	if _, err := a.svc.SetFlavorSpecs(r.Context(), r.PathValue("id"), specs); err != nil {
		return nil, err
	}
	return wire.JSON(specs), nil
}

func (a *api) deleteSpec(r *wire.Request) (*wire.Response, error) {
	return wire.JSON(nil), a.svc.DeleteFlavorSpec(r.Context(), r.PathValue("id"), r.PathValue("key"))
}
