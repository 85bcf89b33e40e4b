package neutron

import (
	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/network"
)

func (a *api) routers() crud[network.RouterView] {
	return crud[network.RouterView]{
		kind: routerKind, render: renderRouter,
		create: func(r *wire.Request, bodies []*body) ([]network.RouterView, error) {
			reqs, err := requests(bodies, func(b *body) network.RouterCreate {
				return network.RouterCreate{
					ProjectID: b.word("project_id"), Name: value(b.text("name")), Description: value(b.text("description")),
					AdminStateUp: b.flag("admin_state_up"), Gateway: readGateway(b), ZoneHints: value(b.words("availability_zone_hints")),
				}
			})
			if err != nil {
				return nil, err
			}
			return a.svc.CreateRouters(r.Context(), r.Caller, reqs...)
		},
		list: func(r *wire.Request, f network.Filter) ([]network.RouterView, error) {
			return a.svc.ListRouters(r.Context(), r.Caller, f)
		},
		get: func(r *wire.Request, id string) (network.RouterView, error) {
			return a.svc.GetRouter(r.Context(), r.Caller, id)
		},
		update: func(r *wire.Request, id string, b *body) (network.RouterView, error) {
			req := network.RouterUpdate{
				Name: b.text("name"), Description: b.text("description"), AdminStateUp: b.flag("admin_state_up"),
				Gateway: readGateway(b), Routes: readRoutes(b, "routes"),
			}
			if b.err != nil {
				return network.RouterView{}, b.err
			}
			return a.svc.UpdateRouter(r.Context(), r.Caller, id, req)
		},
		remove: func(r *wire.Request, id string) error { return a.svc.DeleteRouter(r.Context(), r.Caller, id) },
	}
}

// readGateway reads external_gateway_info; null and {} are no gateway.
func readGateway(b *body) *network.Gateway {
	const name = "external_gateway_info"
	v, ok := b.members[name]
	if !ok {
		return nil
	}
	if v == nil {
		return &network.Gateway{}
	}
	o := b.object(name, v, "network_id", "enable_snat", "external_fixed_ips")
	if len(o.members) == 0 {
		return &network.Gateway{}
	}
	g := &network.Gateway{NetworkID: value(o.id("network_id")), EnableSNAT: o.flag("enable_snat"), FixedIPs: readFixedIPs(o, "external_fixed_ips")}
	if g.NetworkID == "" {
		o.fail(name, "'network_id' is a required key")
	}
	b.take(o)
	return g
}

func renderRouter(_ *wire.Request, v network.RouterView) wire.M {
	m := wire.M{
		"id": v.ID, "name": v.Name, "tenant_id": v.ProjectID, "project_id": v.ProjectID, "admin_state_up": v.AdminStateUp,
		"status": "ACTIVE", "external_gateway_info": nil, "routes": renderRoutes(v.Routes),
		"availability_zone_hints": words(v.ZoneHints), "availability_zones": words(v.Zones),
	}
	if v.GatewayNetworkID != "" {
		m["external_gateway_info"] = wire.M{
			"network_id": v.GatewayNetworkID, "enable_snat": v.EnableSNAT, "external_fixed_ips": renderIPs(v.GatewayIPs),
		}
	}
	return stamp(m, v.Description, v.Tags, v.CreatedAt, v.UpdatedAt, v.Revision)
}

// routerActions are what is done to a router besides.
func (a *api) routerActions() []wire.Route {
	one := rest + "/routers/{id}/"
	return []wire.Route{
		{Method: "PUT", Path: one + "add_router_interface", Policy: wire.Allow(wire.Member, "add_router_interface"), Handler: a.addInterface},
		{Method: "PUT", Path: one + "remove_router_interface", Policy: wire.Allow(wire.Member, "remove_router_interface"), Handler: a.removeInterface},
		{Method: "PUT", Path: one + "add_extraroutes", Policy: wire.Allow(wire.Member, "add_extraroutes"), Handler: a.addRoutes},
		{Method: "PUT", Path: one + "remove_extraroutes", Policy: wire.Allow(wire.Member, "remove_extraroutes"), Handler: a.removeRoutes},
	}
}

func readInterface(r *wire.Request) (network.Interface, error) {
	b := &body{}
	if err := r.Decode(&b.members); err != nil {
		return network.Interface{}, err
	}
	i := network.Interface{SubnetID: value(b.id("subnet_id")), PortID: value(b.id("port_id"))}
	return i, b.err
}

func renderInterface(v network.InterfaceView) *wire.Response {
	return wire.JSON(wire.M{
		"id": v.Router.ID, "tenant_id": v.Router.ProjectID, "project_id": v.Router.ProjectID, "port_id": v.Port.ID,
		"network_id": v.Port.NetworkID, "subnet_id": v.SubnetID, "subnet_ids": words(v.SubnetIDs), "tags": words(v.Router.Tags),
	})
}

func (a *api) addInterface(r *wire.Request) (*wire.Response, error) {
	i, err := readInterface(r)
	if err != nil {
		return nil, err
	}
	v, err := a.svc.AddInterface(r.Context(), r.Caller, r.PathValue("id"), i)
	if err != nil {
		return nil, err
	}
	return renderInterface(v), nil
}

func (a *api) removeInterface(r *wire.Request) (*wire.Response, error) {
	i, err := readInterface(r)
	if err != nil {
		return nil, err
	}
	v, err := a.svc.RemoveInterface(r.Context(), r.Caller, r.PathValue("id"), i)
	if err != nil {
		return nil, err
	}
	return renderInterface(v), nil
}

// readExtraRoutes reads {"router": {"routes": […]}}.
func readExtraRoutes(r *wire.Request) ([]cloud.Route, error) {
	var top struct{ Router map[string]any }
	if err := r.Decode(&top); err != nil {
		return nil, err
	}
	b := &body{members: top.Router}
	if !b.has("routes") {
		return nil, badRequest("Bad router request: Unable to find 'routes' in request body.")
	}
	routes := value(readRoutes(b, "routes"))
	return routes, b.err
}

func (a *api) addRoutes(r *wire.Request) (*wire.Response, error) {
	routes, err := readExtraRoutes(r)
	if err != nil {
		return nil, err
	}
	v, err := a.svc.AddRoutes(r.Context(), r.Caller, r.PathValue("id"), routes)
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"router": renderRouter(r, v)}), nil
}

func (a *api) removeRoutes(r *wire.Request) (*wire.Response, error) {
	routes, err := readExtraRoutes(r)
	if err != nil {
		return nil, err
	}
	v, err := a.svc.RemoveRoutes(r.Context(), r.Caller, r.PathValue("id"), routes)
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"router": renderRouter(r, v)}), nil
}
