package nova

import (
	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/compute"
)

// groupRoutes are nova's own security groups: neutron's, under the names that
// clients of before knew.
func (a *api) groupRoutes() []wire.Route {
	return []wire.Route{
		until(35, route("GET", "/os-security-groups", wire.Reader, "os-security-groups:get", a.listGroups)),
		until(35, route("POST", "/os-security-groups", wire.Member, "os-security-groups:create", a.createGroup)),
		until(35, route("GET", "/os-security-groups/{id}", wire.Reader, "os-security-groups:show", a.showGroup)),
		until(35, route("PUT", "/os-security-groups/{id}", wire.Member, "os-security-groups:update", a.updateGroup)),
		until(35, route("DELETE", "/os-security-groups", wire.Member, "os-security-groups:delete", a.deleteNoGroup)),
		until(35, route("DELETE", "/os-security-groups/{id}", wire.Member, "os-security-groups:delete", a.deleteGroup)),
		until(35, route("POST", "/os-security-group-rules", wire.Member, "os-security-groups:rule:create", a.createRule)),
		until(35, route("DELETE", "/os-security-group-rules/{id}", wire.Member, "os-security-groups:rule:delete", a.deleteRule)),
		route("GET", "/servers/{id}/os-security-groups", wire.Reader, "os-security-groups:list", a.listServerGroups),
	}
}

// groupView is a security group as nova said it, which knew ingress only.
func groupView(g compute.GroupDetail, names map[string]string) wire.M {
	rules := []wire.M{}
	for _, r := range g.Rules {
		if r.Direction == "ingress" {
			rules = append(rules, ruleView(r, g.ProjectID, names))
		}
	}
	return wire.M{"id": g.ID, "name": g.Name, "description": g.Description, "tenant_id": g.ProjectID, "rules": rules}
}

func ruleView(r cloud.SecurityRule, project string, names map[string]string) wire.M {
	m := wire.M{
		"id": r.ID, "parent_group_id": r.GroupID, "ip_protocol": orNull(r.Protocol), "from_port": nil, "to_port": nil,
		"group": wire.M{}, "ip_range": wire.M{},
	}
	if r.PortMin >= 0 && r.Protocol != "" {
		m["from_port"], m["to_port"] = r.PortMin, r.PortMax
	}
	switch {
	case r.RemoteGroupID != "":
		m["group"] = wire.M{"name": names[r.RemoteGroupID], "tenant_id": project}
	case r.RemotePrefix.IsValid():
		m["ip_range"] = wire.M{"cidr": r.RemotePrefix.String()}
	case r.Ethertype == "IPv6":
		m["ip_range"] = wire.M{"cidr": "::/0"}
	default:
		m["ip_range"] = wire.M{"cidr": "0.0.0.0/0"}
	}
	return m
}

// groupNames are the names of groups by their ids.
func groupNames(groups []compute.GroupDetail) map[string]string {
	names := map[string]string{}
	for _, g := range groups {
		names[g.ID] = g.Name
	}
	return names
}

func groupViews(groups []compute.GroupDetail) []wire.M {
	names := groupNames(groups)
	views := []wire.M{}
	for _, g := range groups {
		views = append(views, groupView(g, names))
	}
	return views
}

func (a *api) listGroups(r *wire.Request) (*wire.Response, error) {
	all, _ := wire.ParseBool("all_tenants", r.URL.Query().Get("all_tenants")) // what is no boolean is no, as in nova
	first, last, err := slice(r)
	if err != nil {
		return nil, err
	}
	groups, err := a.svc.SecurityGroups(r.Context(), r.Caller, all)
	if err != nil {
		return nil, err
	}
	views := groupViews(groups)
	return wire.JSON(wire.M{"security_groups": views[min(first, len(views)):min(last, len(views))]}), nil
}

func (a *api) showGroup(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("id")
	groups, err := a.svc.SecurityGroups(r.Context(), r.Caller, false)
	if err != nil {
		return nil, err
	}
	for _, v := range groupViews(groups) {
		if v["id"] == id {
			return wire.JSON(wire.M{"security_group": v}), nil
		}
	}
	return nil, cloud.E("nova.showGroup", cloud.NotFound, "Security group %s not found.", id)
}

func (a *api) listServerGroups(r *wire.Request) (*wire.Response, error) {
	groups, err := a.svc.ServerGroups(r.Context(), r.Caller, r.PathValue("id"))
	return wire.JSON(wire.M{"security_groups": groupViews(groups)}), err
}

// groupAnswer renders a group that was made or changed.
func (a *api) groupAnswer(r *wire.Request) func(compute.GroupDetail, error) (*wire.Response, error) {
	return func(g compute.GroupDetail, err error) (*wire.Response, error) {
		if err != nil {
			return nil, err
		}
		groups, err := a.svc.SecurityGroups(r.Context(), r.Caller, false)
		if err != nil {
			return nil, err
		}
		return wire.JSON(wire.M{"security_group": groupView(g, groupNames(groups))}), nil
	}
}
