package nova

import (
	"net/netip"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/compute"
)

// interfaceRoutes are a server's NICs.
func (a *api) interfaceRoutes() []wire.Route {
	nics := "/servers/{id}/os-interface"
	return []wire.Route{
		route("GET", nics, wire.Reader, "os-attach-interfaces:list", a.listInterfaces),
		route("GET", nics+"/{port}", wire.Reader, "os-attach-interfaces:show", a.showInterface),
		route("POST", nics, wire.Member, "os-attach-interfaces:create", a.attachInterface),
		route("DELETE", nics+"/{port}", wire.Member, "os-attach-interfaces:delete", a.detachInterface),
		until(43, route("GET", "/servers/{id}/os-virtual-interfaces", wire.Reader, "os-virtual-interfaces", a.virtualInterfaces)),
	}
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
	d, err := a.svc.Server(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return interfaceReply(r, &d, r.PathValue("port"))
}

// interfaceReply shows one NIC of a server.
func interfaceReply(r *wire.Request, d *compute.Detail, port string) (*wire.Response, error) {
	for i := range d.Ports {
		if d.Ports[i].ID == port {
			return wire.JSON(wire.M{"interfaceAttachment": interfaceView(r, d, &d.Ports[i])}), nil
		}
	}
	return nil, cloud.E("nova.showInterface", cloud.NotFound, "Instance %s does not have a port with id %s", d.ID, port)
}

func (a *api) attachInterface(r *wire.Request) (*wire.Response, error) {
	const op = "nova.attachInterface"
	var in struct {
		Attachment struct {
			Net  string `json:"net_id"`
			Port string `json:"port_id"`
			Tag  string
			IPs  []struct {
				Address netip.Addr `json:"ip_address"`
			} `json:"fixed_ips"`
		} `json:"interfaceAttachment"`
	}
	if err := a.schemas.decode(r, "attachments.json#/interface", &in); err != nil {
		return nil, err
	}
	ask := compute.NetworkAsk{NetworkID: in.Attachment.Net, PortID: in.Attachment.Port, Tag: in.Attachment.Tag}
	if len(in.Attachment.IPs) > 0 {
		ask.FixedIP = in.Attachment.IPs[0].Address
	}
	switch {
	case ask.NetworkID != "" && ask.PortID != "":
		return nil, cloud.E(op, cloud.Invalid, "Must not input both network_id and port_id")
	case ask.FixedIP.IsValid() && ask.NetworkID == "":
		return nil, cloud.E(op, cloud.Invalid, "Must input network_id when request IP address")
	}
	d, port, err := a.svc.AttachInterface(r.Context(), actor(r), r.PathValue("id"), ask)
	if err != nil {
		return nil, err
	}
	return interfaceReply(r, &d, port)
}

func (a *api) detachInterface(r *wire.Request) (*wire.Response, error) {
	return wire.Accepted(nil), a.svc.DetachInterface(r.Context(), actor(r), r.PathValue("id"), r.PathValue("port"))
}

// virtualInterfaces were nova-network's; nova with neutron says that they are gone.
func (a *api) virtualInterfaces(*wire.Request) (*wire.Response, error) {
	return nil, cloud.E("nova.virtualInterfaces", cloud.Gone, "This resource is no longer available. No forwarding address is given.")
}

// addFixedIP gives a server another address, up to 2.43.
func (a *api) addFixedIP(r *wire.Request, raw []byte, id string) (*wire.Response, error) {
	var in struct {
		Add struct {
			Network wireText `json:"networkId"`
		} `json:"addFixedIp"`
	}
	if err := wire.First(upTo(r, 43, "addFixedIp"), a.read(r, raw, "addFixedIp", &in)); err != nil {
		return nil, err
	}
	return wire.Accepted(nil), a.svc.AddFixedIP(r.Context(), actor(r), id, string(in.Add.Network))
}

// removeFixedIP takes an address off a server, up to 2.43.
func (a *api) removeFixedIP(r *wire.Request, raw []byte, id string) (*wire.Response, error) {
	var in struct {
		Remove struct{ Address netip.Addr } `json:"removeFixedIp"`
	}
	if err := wire.First(upTo(r, 43, "removeFixedIp"), a.read(r, raw, "removeFixedIp", &in)); err != nil {
		return nil, err
	}
	return wire.Accepted(nil), a.svc.RemoveFixedIP(r.Context(), actor(r), id, in.Remove.Address)
}

// upTo refuses an action that left the API after 2.n.
func upTo(r *wire.Request, n int, name string) error {
	if r.Version.AtLeast(n + 1) {
		return noAction(name)
	}
	return nil
}
