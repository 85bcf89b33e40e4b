package neutron

import (
	"hearth/internal/openstack/wire"
	"hearth/internal/service/network"
)

func (a *api) floatingIPs() crud[network.FloatingView] {
	return crud[network.FloatingView]{
		kind: floatingKind, render: renderFloatingIP,
		create: func(r *wire.Request, bodies []*body) ([]network.FloatingView, error) {
			reqs, err := requests(bodies, readFloatingIP)
			if err != nil {
				return nil, err
			}
			return a.svc.CreateFloatingIPs(r.Context(), r.Caller, reqs...)
		},
		list: func(r *wire.Request, f network.Filter) ([]network.FloatingView, error) {
			return a.svc.ListFloatingIPs(r.Context(), r.Caller, f)
		},
		get: func(r *wire.Request, id string) (network.FloatingView, error) {
			return a.svc.GetFloatingIP(r.Context(), r.Caller, id)
		},
		update: func(r *wire.Request, id string, b *body) (network.FloatingView, error) {
			req := network.FloatingUpdate{Description: b.text("description"), PortID: b.id("port_id"), FixedIP: b.addr("fixed_ip_address")}
			if b.err != nil {
				return network.FloatingView{}, b.err
			}
			if len(b.members) == 0 {
				req.PortID = new(string) // once all that could be changed: saying nothing takes it off
			}
			return a.svc.UpdateFloatingIP(r.Context(), r.Caller, id, req)
		},
		remove: func(r *wire.Request, id string) error { return a.svc.DeleteFloatingIP(r.Context(), r.Caller, id) },
	}
}

func readFloatingIP(b *body) network.FloatingCreate {
	return network.FloatingCreate{
		ProjectID: b.word("project_id"), Description: value(b.text("description")), NetworkID: value(b.id("floating_network_id")),
		SubnetID: value(b.id("subnet_id")), IP: value(b.addr("floating_ip_address")), PortID: value(b.id("port_id")),
		FixedIP: value(b.addr("fixed_ip_address")), DNSName: b.word("dns_name"), DNSDomain: b.word("dns_domain"),
	}
}

func renderFloatingIP(_ *wire.Request, v network.FloatingView) wire.M {
	m := wire.M{
		"id": v.ID, "tenant_id": v.ProjectID, "project_id": v.ProjectID, "floating_network_id": v.NetworkID,
		"floating_ip_address": v.IP.String(), "router_id": null(v.RouterID), "port_id": null(v.PortID),
		"fixed_ip_address": renderAddr(v.FixedIP), "status": v.Status(), "dns_name": v.DNSName, "dns_domain": v.DNSDomain, "port_details": nil,
	}
	forwards := make([]wire.M, len(v.Forwards))
	for i, f := range v.Forwards {
		forwards[i] = wire.M{"id": f.ID, "protocol": f.Protocol, "external_port": single(f.External, f.ExternalEnd), "internal_port": single(f.InnerPort, f.InnerEnd),
			"internal_ip_address": f.Inner.String(), "internal_port_id": f.PortID}
	}
	m["port_forwardings"] = forwards
	if p := v.Port; p != nil {
		m["port_details"] = wire.M{
			"name": p.Name, "network_id": p.NetworkID, "mac_address": p.MAC, "admin_state_up": p.AdminStateUp,
			"status": p.Status(), "device_id": p.DeviceID, "device_owner": p.DeviceOwner,
		}
	}
	return stamp(m, v.Description, v.Tags, v.CreatedAt, v.UpdatedAt, v.Revision)
}
