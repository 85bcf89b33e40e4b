package neutron

import (
	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/network"
)

var rbacKind = kind{"rbac_policy", "rbac_policies", "/rbac-policies", plain("object_type=rfs object_id=rfs target_tenant=rufs action=rfs")}

func (a *api) rbac() crud[cloud.RBACPolicy] {
	return crud[cloud.RBACPolicy]{
		kind: rbacKind, render: renderRBAC,
		create: func(r *wire.Request, bodies []*body) ([]cloud.RBACPolicy, error) {
			reqs, err := requests(bodies, func(b *body) network.RBACCreate {
				return network.RBACCreate{
					ProjectID: b.word("project_id"), ObjectType: value(b.text("object_type")), ObjectID: value(b.id("object_id")),
					Action: value(b.text("action")), Target: value(b.text("target_tenant")),
				}
			})
			if err != nil {
				return nil, err
			}
			return a.svc.CreateRBACPolicies(r.Context(), r.Caller, reqs...)
		},
		list: func(r *wire.Request, f network.Filter) ([]cloud.RBACPolicy, error) {
			return a.svc.ListRBACPolicies(r.Context(), r.Caller, f)
		},
		get: func(r *wire.Request, id string) (cloud.RBACPolicy, error) {
			return a.svc.GetRBACPolicy(r.Context(), r.Caller, id)
		},
		update: func(r *wire.Request, id string, b *body) (cloud.RBACPolicy, error) {
			target := b.text("target_tenant")
			if target == nil && b.err == nil {
				return a.svc.GetRBACPolicy(r.Context(), r.Caller, id)
			}
			if b.err != nil {
				return cloud.RBACPolicy{}, b.err
			}
			return a.svc.UpdateRBACPolicy(r.Context(), r.Caller, id, *target)
		},
		remove: func(r *wire.Request, id string) error { return a.svc.DeleteRBACPolicy(r.Context(), r.Caller, id) },
	}
}

func renderRBAC(_ *wire.Request, p cloud.RBACPolicy) wire.M {
	return wire.M{
		"id": p.ID, "tenant_id": p.ProjectID, "project_id": p.ProjectID, "object_type": p.ObjectType, "object_id": p.ObjectID,
		"action": p.Action, "target_tenant": p.Target,
	}
}
