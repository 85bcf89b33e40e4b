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
