package nova

import (
	"net/netip"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/compute"
)

// addressView is an address of a server. Type and MAC are not in all answers.
type addressView struct {
	Version int     `json:"version"`
	Addr    string  `json:"addr"`
	Type    *string `json:"OS-EXT-IPS:type,omitempty"`
	MAC     *string `json:"OS-EXT-IPS-MAC:mac_addr,omitempty"`
}

var fixedType, floatingType = "fixed", "floating"

// addressesOf are a server's addresses by the names of their networks. While it
// is built they are not shown, as in nova.
func addressesOf(d *compute.Detail, extended bool) map[string][]addressView {
	if d.VMState() == cloud.VMBuilding {
		return map[string][]addressView{}
	}
	return allAddresses(d, extended)
}

func allAddresses(d *compute.Detail, extended bool) map[string][]addressView {
	out := make(map[string][]addressView, len(d.Ports))
	for i := range d.Ports {
		p := &d.Ports[i]
		for _, f := range p.FixedIPs {
			out[p.Network] = append(out[p.Network], addressOf(f.IP, &fixedType, p, extended))
			for _, g := range p.Floating {
				if g.Fixed == f.IP {
					out[p.Network] = append(out[p.Network], addressOf(g.IP, &floatingType, p, extended))
				}
			}
		}
	}
	return out
}

func addressOf(ip netip.Addr, kind *string, p *compute.Interface, extended bool) addressView {
	v := addressView{Version: 4, Addr: ip.String()}
	if ip.Is6() {
		v.Version = 6
	}
	if extended {
		v.Type, v.MAC = kind, &p.MAC
	}
	return v
}

func (a *api) listAddresses(r *wire.Request) (*wire.Response, error) {
	d, err := a.svc.Server(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"addresses": allAddresses(&d, false)}), nil
}

func (a *api) showAddresses(r *wire.Request) (*wire.Response, error) {
	d, err := a.svc.Server(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	network := r.PathValue("network")
	list, ok := allAddresses(&d, false)[network]
	if !ok {
		return nil, cloud.E("nova.showAddresses", cloud.NotFound, "Instance is not a member of specified network")
	}
	return wire.JSON(wire.M{network: list}), nil
}

// interfaceView is a NIC (os-interface).
func interfaceView(r *wire.Request, d *compute.Detail, p *compute.Interface) wire.M {
	ips := []wire.M{}
	for _, f := range p.FixedIPs {
		ips = append(ips, wire.M{"subnet_id": f.SubnetID, "ip_address": f.IP.String()})
	}
	m := wire.M{"net_id": p.NetworkID, "port_id": p.ID, "mac_addr": p.MAC, "port_state": p.Status(), "fixed_ips": ips}
	if r.Version.AtLeast(70) {
		m["tag"] = orNull(d.NICTags[p.ID])
	}
	return m
}

func (a *api) listInterfaces(r *wire.Request) (*wire.Response, error) {
	d, err := a.svc.Server(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	list := []wire.M{}
	for i := range d.Ports {
		list = append(list, interfaceView(r, &d, &d.Ports[i]))
	}
	return wire.JSON(wire.M{"interfaceAttachments": list}), nil
}

func (a *api) showInterface(r *wire.Request) (*wire.Response, error) {
	id, port := r.PathValue("id"), r.PathValue("port")
	d, err := a.svc.Server(r.Context(), r.Caller, id)
	if err != nil {
		return nil, err
	}
	for i := range d.Ports {
		if d.Ports[i].ID == port {
			return wire.JSON(wire.M{"interfaceAttachment": interfaceView(r, &d, &d.Ports[i])}), nil
		}
	}
	return nil, cloud.E("nova.showInterface", cloud.NotFound, "Instance %s does not have a port with id %s", id, port)
}
