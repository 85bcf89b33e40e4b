package keystone

import (
	"maps"
	"net/http"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/identity"
)

func (a *api) policyRoutes() []wire.Route {
	const each = "/v3/policies/{policy_id}"
	return []wire.Route{
		route("GET", "/v3/policies", systemReader, "list_policies", a.policies),
		route("POST", "/v3/policies", wire.Admin, "create_policy", a.createPolicy),
		route("GET", each, systemReader, "get_policy", a.policy),
		route("PATCH", each, wire.Admin, "update_policy", a.updatePolicy),
		route("DELETE", each, wire.Admin, "delete_policy", a.deletePolicy),
	}
}

func showPolicy(r *wire.Request, p cloud.PolicyBlob) wire.M {
	out := wire.M{}
	maps.Copy(out, p.Extra)
	maps.Copy(out, wire.M{"id": p.ID, "type": p.Type, "blob": p.Blob, "links": wire.M{"self": r.Link("/v3/policies/" + p.ID)}})
	return out
}

func (a *api) policies(r *wire.Request) (*wire.Response, error) {
	found, err := a.svc.Policies(r.Context(), r.URL.Query().Get("type"))
	if err != nil {
		return nil, err
	}
	return list(r, "policies", found, showPolicy), nil
}

func (a *api) createPolicy(r *wire.Request) (*wire.Response, error) {
	b, err := decode(r, "policy")
	if err != nil {
		return nil, err
	}
	typ, blob := b.name("type", 255), b.text("blob")
	b.need("blob", blob != nil)
	b.need("type", typ != nil)
	if b.err != nil {
		return nil, b.err
	}
	p, err := a.svc.CreatePolicy(r.Context(), cloud.PolicyBlob{Type: *typ, Blob: *blob, Extra: b.extra()})
	if err != nil {
		return nil, err
	}
	return one(http.StatusCreated, "policy", showPolicy(r, p)), nil
}

func (a *api) policy(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("policy_id")
	p, err := a.svc.Policy(r.Context(), id)
	if err != nil {
		return nil, missing(err, "policy", id)
	}
	return one(http.StatusOK, "policy", showPolicy(r, p)), nil
}

func (a *api) updatePolicy(r *wire.Request) (*wire.Response, error) {
	b, err := decode(r, "policy")
	if err != nil {
		return nil, err
	}
	patch := identity.PolicyPatch{Type: b.name("type", 255), Blob: b.text("blob")}
	if b.err != nil {
		return nil, b.err
	}
	patch.Extra = b.extra()
	id := r.PathValue("policy_id")
	p, err := a.svc.UpdatePolicy(r.Context(), id, patch)
	if err != nil {
		return nil, missing(err, "policy", id)
	}
	return one(http.StatusOK, "policy", showPolicy(r, p)), nil
}

func (a *api) deletePolicy(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("policy_id")
	return done(missing(a.svc.DeletePolicy(r.Context(), id), "policy", id))
}
