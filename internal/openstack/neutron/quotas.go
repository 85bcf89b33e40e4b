package neutron

import (
	"hearth/internal/openstack/wire"
)

// quotaRoutes are the routes of limits.
func (a *api) quotaRoutes() []wire.Route {
	get, set := wire.Allow(wire.Reader, "get_quota"), wire.Allow(wire.Admin, "update_quota")
	one := rest + "/quotas/{project}"
	return []wire.Route{
		{Method: "GET", Path: rest + "/quotas", Policy: wire.Allow(wire.Admin, "get_quota"), Handler: a.listQuotas},
		{Method: "GET", Path: rest + "/quotas/tenant", Policy: get, Handler: quotaTenant},
		{Method: "GET", Path: rest + "/quotas/project", Policy: get, Handler: quotaTenant},
		{Method: "GET", Path: one, Policy: get, Handler: a.showQuota},
		{Method: "GET", Path: one + "/default", Policy: get, Handler: a.defaultQuota},
		{Method: "GET", Path: one + "/details", Policy: get, Handler: a.quotaDetails},
		{Method: "GET", Path: one + "/details.json", Policy: get, Handler: a.quotaDetails}, // as tempest and old clients ask
		{Method: "PUT", Path: one, Policy: set, Handler: a.setQuota},
		{Method: "DELETE", Path: one, Policy: wire.Allow(wire.Admin, "delete_quota"), Handler: a.resetQuota},
	}
}

func quotaTenant(r *wire.Request) (*wire.Response, error) {
	return wire.JSON(wire.M{"tenant": wire.M{"tenant_id": r.Caller.ProjectID, "project_id": r.Caller.ProjectID}}), nil
}

func (a *api) listQuotas(r *wire.Request) (*wire.Response, error) {
	all, err := a.svc.ListQuotas(r.Context())
	if err != nil {
		return nil, err
	}
	out := []wire.M{}
	for id, limits := range all {
		m := wire.M{"tenant_id": id, "project_id": id}
		for resource, n := range limits {
			m[resource] = n
		}
		out = append(out, m)
	}
	return wire.JSON(wire.M{"quotas": out}), nil
}

func (a *api) showQuota(r *wire.Request) (*wire.Response, error) {
	q, err := a.svc.Quota(r.Context(), r.Caller, r.PathValue("project"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"quota": q}), nil
}

func (a *api) defaultQuota(r *wire.Request) (*wire.Response, error) {
	q, err := a.svc.DefaultQuota(r.Context(), r.Caller, r.PathValue("project"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"quota": q}), nil
}

func (a *api) quotaDetails(r *wire.Request) (*wire.Response, error) {
	uses, err := a.svc.QuotaDetails(r.Context(), r.Caller, r.PathValue("project"))
	if err != nil {
		return nil, err
	}
	out := wire.M{}
	for resource, u := range uses {
		out[resource] = wire.M{"limit": u.Limit, "used": u.Used, "reserved": 0}
	}
	return wire.JSON(wire.M{"quota": out}), nil
}

func (a *api) setQuota(r *wire.Request) (*wire.Response, error) {
	var top struct{ Quota map[string]any }
	if err := r.Decode(&top); err != nil {
		return nil, err
	}
	if len(top.Quota) == 0 {
		return nil, badRequest("Unable to find 'quota' in request body")
	}
	b, changes := &body{members: top.Quota}, map[string]int{}
	delete(top.Quota, "tenant_id")
	delete(top.Quota, "project_id")
	for resource := range top.Quota {
		n := b.whole(resource)
		if n == nil {
			b.fail(resource, "it is null")
			break
		}
		changes[resource] = *n
	}
	if b.err != nil {
		return nil, b.err
	}
	q, err := a.svc.SetQuota(r.Context(), r.PathValue("project"), changes)
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"quota": q}), nil
}

func (a *api) resetQuota(r *wire.Request) (*wire.Response, error) {
	if err := a.svc.ResetQuota(r.Context(), r.PathValue("project")); err != nil {
		return nil, err
	}
	return wire.NoContent(), nil
}
