package neutron

import (
	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/network"
)

var scopeKind = kind{"address_scope", "address_scopes", "/address-scopes", plain("name=cufs ip_version=rfs shared=cufs")}

func (a *api) scopes() crud[cloud.AddressScope] {
	return crud[cloud.AddressScope]{
		kind: scopeKind, render: renderScope,
		create: func(r *wire.Request, bodies []*body) ([]cloud.AddressScope, error) {
			reqs, err := requests(bodies, readScope)
			if err != nil {
				return nil, err
			}
			return a.svc.CreateScopes(r.Context(), r.Caller, reqs...)
		},
		list: func(r *wire.Request, f network.Filter) ([]cloud.AddressScope, error) {
			return a.svc.ListScopes(r.Context(), r.Caller, f)
		},
		get: func(r *wire.Request, id string) (cloud.AddressScope, error) {
			return a.svc.GetScope(r.Context(), r.Caller, id)
		},
		update: func(r *wire.Request, id string, b *body) (cloud.AddressScope, error) {
			req := network.ScopeUpdate{Name: b.text("name"), Shared: b.flag("shared")}
			if b.err != nil {
				return cloud.AddressScope{}, b.err
			}
			return a.svc.UpdateScope(r.Context(), r.Caller, id, req)
		},
		remove: func(r *wire.Request, id string) error { return a.svc.DeleteScope(r.Context(), r.Caller, id) },
	}
}

func readScope(b *body) network.ScopeCreate {
	req := network.ScopeCreate{
		ProjectID: b.word("project_id"), Name: value(b.text("name")), IPVersion: value(b.whole("ip_version")), Shared: value(b.flag("shared")),
	}
	if req.IPVersion != 4 && req.IPVersion != 6 {
		b.fail("ip_version", "'%v' is not in [4, 6]", b.members["ip_version"])
	}
	return req
}

func renderScope(_ *wire.Request, v cloud.AddressScope) wire.M {
	return wire.M{"id": v.ID, "name": v.Name, "tenant_id": v.ProjectID, "project_id": v.ProjectID, "ip_version": v.IPVersion, "shared": v.Shared}
}
