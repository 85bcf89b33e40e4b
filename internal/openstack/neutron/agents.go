package neutron

import (
	"hearth/internal/openstack/wire"
	"hearth/internal/service/network"
)

var (
	agentKind = kind{"agent", "agents", "/agents", plain("agent_type=fs binary=fs topic=fs host=fs admin_state_up=ufs created_at=s started_at=s " +
		"heartbeat_timestamp=s description=ufs configurations= alive=f availability_zone=fs resources_synced=")}
	zoneKind = kind{"availability_zone", "availability_zones", "/availability_zones", plain("name=fs resource=fs state=fs")}
)

// agentRoutes are the routes of agents, which come and go with their hosts, and of
// the zones that hosts are in.
func (a *api) agentRoutes() []wire.Route {
	all, one := rest+"/agents", rest+"/agents/{id}"
	return []wire.Route{
		{Method: "GET", Path: all, Policy: wire.Allow(wire.Reader, "get_agent"), Handler: a.listAgents},
		{Method: "GET", Path: one, Policy: wire.Allow(wire.Reader, "get_agent"), Handler: a.showAgent},
		{Method: "PUT", Path: one, Policy: wire.Allow(wire.Admin, "update_agent"), Handler: a.updateAgent},
		{Method: "DELETE", Path: one, Policy: wire.Allow(wire.Admin, "delete_agent"), Handler: a.removeAgent},
		{Method: "GET", Path: rest + zoneKind.path, Policy: wire.Allow(wire.Reader, "get_availability_zone"), Handler: a.listZones},
		{Method: "GET", Path: rest + "/service-providers", Policy: wire.Allow(wire.Reader, "get_service_provider"), Handler: listProviders},
	}
}

func renderAgent(g network.Agent) wire.M {
	const form = "2006-01-02 15:04:05"
	config := wire.M{}
	for name, n := range g.Counts {
		config[name] = n
	}
	return wire.M{
		"id": g.ID, "agent_type": g.Type, "binary": g.Binary, "topic": g.Topic, "host": g.Host, "admin_state_up": g.AdminStateUp,
		"created_at": g.CreatedAt.UTC().Format(form), "started_at": g.CreatedAt.UTC().Format(form),
		"heartbeat_timestamp": g.SeenAt.UTC().Format(form), "description": null(g.Description), "configurations": config, "alive": g.Alive,
		"availability_zone": g.Zone, "resources_synced": nil,
	}
}

func (a *api) listAgents(r *wire.Request) (*wire.Response, error) {
	q := r.URL.Query()
	if err := checkFilters(agentKind, q); err != nil {
		return nil, err
	}
	rows, err := a.svc.ListAgents(r.Context(), r.Caller)
	if err != nil {
		return nil, err
	}
	items := make([]wire.M, len(rows))
	for i, g := range rows {
		items[i] = renderAgent(g)
	}
	return answerList(r, agentKind, q, items)
}

func (a *api) showAgent(r *wire.Request) (*wire.Response, error) {
	g, err := a.svc.GetAgent(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"agent": wire.Select(renderAgent(g), wire.Fields(r.URL.Query()))}), nil
}

func (a *api) updateAgent(r *wire.Request) (*wire.Response, error) {
	b, err := decodeUpdate(r, agentKind)
	if err != nil {
		return nil, err
	}
	req := network.AgentUpdate{AdminStateUp: b.flag("admin_state_up")}
	if _, given := b.get("description"); given {
		req.Description = b.text("description")
	}
	if b.err != nil {
		return nil, b.err
	}
	g, err := a.svc.UpdateAgent(r.Context(), r.Caller, r.PathValue("id"), req)
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"agent": renderAgent(g)}), nil
}

func (a *api) removeAgent(r *wire.Request) (*wire.Response, error) {
	return nil, a.svc.RefuseAgent(r.Context(), r.Caller, r.PathValue("id"))
}

func (a *api) listZones(r *wire.Request) (*wire.Response, error) {
	q := r.URL.Query()
	if err := checkFilters(zoneKind, q); err != nil {
		return nil, err
	}
	zones, err := a.svc.ListZones(r.Context())
	if err != nil {
		return nil, err
	}
	items := make([]wire.M, len(zones))
	for i, z := range zones {
		state := "unavailable"
		if z.Available {
			state = "available"
		}
		items[i] = wire.M{"name": z.Name, "resource": z.Resource, "state": state}
	}
	return answerList(r, zoneKind, q, items)
}

// listProviders says who provides what: routers are the nodes' own.
func listProviders(r *wire.Request) (*wire.Response, error) {
	k := kind{"service_provider", "service_providers", "/service-providers", plain("service_type=fs name=fs default=f")}
	q := r.URL.Query()
	if err := checkFilters(k, q); err != nil {
		return nil, err
	}
	return answerList(r, k, q, []wire.M{{"service_type": "L3_ROUTER_NAT", "name": "single_node", "default": true}})
}
