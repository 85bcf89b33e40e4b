package neutron

import (
	"net/netip"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/network"
)

// portView is a port with the trunk whose parent it is; nil for none.
type portView struct {
	cloud.Port
	trunk *network.TrunkDetail
}

func (a *api) ports() crud[portView] {
	return crud[portView]{
		kind: portKind, render: a.renderPort,
		create: func(r *wire.Request, bodies []*body) ([]portView, error) {
			reqs, err := requests(bodies, readPort)
			if err != nil {
				return nil, err
			}
			made, err := a.svc.CreatePorts(r.Context(), r.Caller, reqs...)
			return portViews(made, nil), err
		},
		list: func(r *wire.Request, f network.Filter) ([]portView, error) {
			rows, err := a.svc.ListPorts(r.Context(), r.Caller, f)
			if err != nil {
				return nil, err
			}
			trunks, err := a.svc.TrunkDetails(r.Context())
			return portViews(rows, trunks), err
		},
		get: func(r *wire.Request, id string) (portView, error) {
			p, err := a.svc.GetPort(r.Context(), r.Caller, id)
			return a.portView(r, p, err)
		},
		update: func(r *wire.Request, id string, b *body) (portView, error) {
			req := readPortUpdate(b)
			if b.err != nil {
				return portView{}, b.err
			}
			p, err := a.svc.UpdatePort(r.Context(), r.Caller, id, req)
			return a.portView(r, p, err)
		},
		remove: func(r *wire.Request, id string) error { return a.svc.DeletePort(r.Context(), r.Caller, id) },
	}
}

func portViews(ports []cloud.Port, trunks map[string]network.TrunkDetail) []portView {
	out := make([]portView, len(ports))
	for i, p := range ports {
		out[i].Port = p
		if t, ok := trunks[p.ID]; ok {
			out[i].trunk = &t
		}
	}
	return out
}

func (a *api) portView(r *wire.Request, p cloud.Port, err error) (portView, error) {
	if err != nil {
		return portView{}, err
	}
	trunks, err := a.svc.TrunkDetails(r.Context(), p.ID)
	return portViews([]cloud.Port{p}, trunks)[0], err
}

func readPort(b *body) network.PortCreate {
	req := network.PortCreate{
		ProjectID: b.word("project_id"), NetworkID: value(b.id("network_id")), Name: value(b.text("name")),
		Description: value(b.text("description")), AdminStateUp: b.flag("admin_state_up"), PortSecurity: b.flag("port_security_enabled"),
		FixedIPs: readFixedIPs(b, "fixed_ips"), DeviceID: b.word("device_id"), DeviceOwner: b.word("device_owner"),
		SecurityGroups: readGroups(b), AllowedPairs: value(readPairs(b)), Host: b.word("binding:host_id"),
		VNICType: value(readVNIC(b)), DNSName: b.word("dns_name"), Profile: value(readProfile(b)), Tags: value(b.words("tags")),
		QoSPolicyID: value(b.id("qos_policy_id")),
	}
	if mac := readMAC(b); mac != nil {
		req.MAC = *mac
	}
	for _, o := range readOptions(b) {
		if o.Value != nil {
			req.DHCPOptions = append(req.DHCPOptions, cloud.DHCPOption{Name: o.Name, Value: *o.Value, IPVersion: o.IPVersion})
		}
	}
	return req
}

func readPortUpdate(b *body) network.PortUpdate {
	req := network.PortUpdate{
		Name: b.text("name"), Description: b.text("description"), AdminStateUp: b.flag("admin_state_up"),
		PortSecurity: b.flag("port_security_enabled"), MAC: readMAC(b), FixedIPs: readFixedIPs(b, "fixed_ips"),
		DeviceID: b.text("device_id"), DeviceOwner: b.text("device_owner"), SecurityGroups: readGroups(b), AllowedPairs: readPairs(b),
		DHCPOptions: readOptions(b), VNICType: readVNIC(b), DNSName: b.text("dns_name"), Profile: readProfile(b),
		QoSPolicyID: b.id("qos_policy_id"),
	}
	if b.has("binding:host_id") {
		host := b.word("binding:host_id")
		req.Host = &host
	}
	return req
}

func readMAC(b *body) *string {
	v, ok := b.get("mac_address")
	if !ok {
		return nil
	}
	mac := b.mac("mac_address", v)
	return &mac
}

// readVNIC takes the one kind of NIC that the nodes have.
func readVNIC(b *body) *string {
	v, ok := b.get("binding:vnic_type")
	if !ok {
		return nil
	}
	if v != "normal" {
		b.fail("binding:vnic_type", "'%v' is not in ['normal']", v)
	}
	normal := "normal"
	return &normal
}

func readProfile(b *body) *map[string]any {
	v, ok := b.members["binding:profile"]
	if !ok {
		return nil
	}
	m, ok := v.(map[string]any)
	if !ok && v != nil {
		b.fail("binding:profile", "'%v' is not a dictionary", v)
	}
	return &m
}

func readGroups(b *body) *[]string {
	ids := b.words("security_groups")
	for i, id := range value(ids) {
		if !cloud.IsID(id) {
			b.fail("security_groups", "'%s' is not a valid UUID", id)
		}
		if slices.Contains(value(ids)[:i], id) {
			b.fail("security_groups", "Duplicate items in the list: '%s'", id)
		}
	}
	return ids
}

func readFixedIPs(b *body, name string) *[]network.IPRequest {
	list := b.list(name)
	if list == nil {
		return nil
	}
	out, seen := []network.IPRequest{}, map[netip.Addr]bool{}
	for _, v := range *list {
		o := b.object(name, v, "subnet_id", "ip_address")
		req := network.IPRequest{SubnetID: value(o.id("subnet_id")), IP: value(o.addr("ip_address"))}
		b.take(o)
		if req.IP.IsValid() && seen[req.IP] {
			b.fail(name, "Duplicate IP address '%s'", req.IP)
		}
		seen[req.IP] = true
		out = append(out, req)
	}
	return &out
}

func readPairs(b *body) *[]network.PairRequest {
	const name = "allowed_address_pairs"
	list := b.list(name)
	if list == nil {
		return nil
	}
	out := []network.PairRequest{}
	for _, v := range *list {
		o := b.object(name, v, "ip_address", "mac_address")
		var req network.PairRequest
		if mac, ok := o.get("mac_address"); ok {
			req.MAC = b.mac(name, mac)
		}
		ip, ok := o.get("ip_address")
		if !ok && b.err == nil {
			b.err = badRequest("AllowedAddressPair must contain ip_address")
		}
		if ok {
			req.IP = b.prefix(name, ip)
		}
		out = append(out, req)
	}
	return &out
}

func readOptions(b *body) []network.DHCPOptionChange {
	const name = "extra_dhcp_opts"
	var out []network.DHCPOptionChange
	for _, v := range value(b.list(name)) {
		o := b.object(name, v, "opt_name", "opt_value", "ip_version")
		change := network.DHCPOptionChange{Name: o.word("opt_name"), IPVersion: 4}
		if _, ok := o.get("opt_value"); ok {
			change.Value = o.text("opt_value")
		}
		if n := o.whole("ip_version"); n != nil {
			change.IPVersion = *n
		}
		b.take(o)
		if strings.TrimSpace(change.Name) == "" {
			b.fail(name, "'%s' is blank", change.Name)
		}
		if change.IPVersion != 4 && change.IPVersion != 6 {
			b.fail(name, "'%d' is not in [4, 6]", change.IPVersion)
		}
		out = append(out, change)
	}
	return out
}

// renderIPs gives addresses in the order of their text, which is the order that
// neutron's database keeps them in and clients have come to rely on.
func renderIPs(ips []cloud.FixedIP) []wire.M {
	out := make([]wire.M, 0, len(ips))
	byText := func(a, b cloud.FixedIP) int { return strings.Compare(a.IP.String(), b.IP.String()) }
	for _, f := range slices.SortedStableFunc(slices.Values(ips), byText) {
		out = append(out, wire.M{"subnet_id": f.SubnetID, "ip_address": f.IP.String()})
	}
	return out
}

// renderPrefix is an address, with its length unless it is one host.
func renderPrefix(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

func (a *api) renderPort(r *wire.Request, p portView) wire.M {
	pairs := make([]wire.M, len(p.AllowedPairs))
	for i, pair := range p.AllowedPairs {
		pairs[i] = wire.M{"mac_address": pair.MAC, "ip_address": renderPrefix(pair.IP)}
	}
	options := make([]wire.M, len(p.DHCPOptions))
	for i, o := range p.DHCPOptions {
		options[i] = wire.M{"opt_name": o.Name, "opt_value": o.Value, "ip_version": o.IPVersion}
	}
	vnic := p.VNICType
	if vnic == "" {
		vnic = "normal"
	}
	m := wire.M{
		"id": p.ID, "name": p.Name, "network_id": p.NetworkID, "tenant_id": p.ProjectID, "project_id": p.ProjectID,
		"mac_address": p.MAC, "admin_state_up": p.AdminStateUp, "status": p.Status(), "device_id": p.DeviceID,
		"device_owner": p.DeviceOwner, "fixed_ips": renderIPs(p.FixedIPs), "security_groups": words(p.SecurityGroups),
		"port_security_enabled": p.PortSecurity, "allowed_address_pairs": pairs, "extra_dhcp_opts": options,
		"binding:vnic_type": vnic, "dns_name": p.DNSName, "dns_assignment": a.renderNames(p.Port), "qos_policy_id": null(p.QoSPolicyID),
	}
	if p.trunk != nil {
		m["trunk_details"] = renderTrunkDetail(*p.trunk)
	}
	if r.Caller.IsAdmin() {
		profile := p.Profile
		if profile == nil {
			profile = wire.M{}
		}
		m["binding:host_id"], m["binding:profile"] = p.Host, profile
		m["binding:vif_type"], m["binding:vif_details"] = "unbound", wire.M{}
		if p.Host != "" {
			m["binding:vif_type"], m["binding:vif_details"] = "bridge", wire.M{"port_filter": true}
		}
	}
	return stamp(m, p.Description, p.Tags, p.CreatedAt, p.UpdatedAt, p.Revision)
}

// renderNames are the names that the network's DNS answers for the port.
func (a *api) renderNames(p cloud.Port) []wire.M {
	out := make([]wire.M, len(p.FixedIPs))
	for i, f := range p.FixedIPs {
		host := p.DNSName
		if host == "" {
			host = "host-" + strings.NewReplacer(".", "-", ":", "-").Replace(f.IP.String())
		}
		out[i] = wire.M{"hostname": host, "ip_address": f.IP.String(), "fqdn": host + "." + a.svc.DNSDomain()}
	}
	return out
}
