package nova

import (
	"encoding/json"
	"net/netip"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/compute"
)

// proxyRoutes are neutron's and ironic's resources under the names that clients of
// before knew, until 2.35.
func (a *api) proxyRoutes() []wire.Route {
	old := func(method, path string, rule wire.Rule, policy string, h wire.Handler) wire.Route {
		return until(35, route(method, path, rule, policy, h))
	}
	return []wire.Route{
		old("GET", "/os-floating-ip-pools", wire.Reader, "os-floating-ip-pools", a.listPools),
		old("GET", "/os-floating-ips", wire.Reader, "os-floating-ips:list", a.listFloating),
		old("POST", "/os-floating-ips", wire.Member, "os-floating-ips:create", a.createFloating),
		old("GET", "/os-floating-ips/{id}", wire.Reader, "os-floating-ips:show", a.showFloating),
		old("DELETE", "/os-floating-ips/{id}", wire.Member, "os-floating-ips:delete", a.deleteFloating),
		old("GET", "/os-networks", wire.Reader, "os-networks:list", a.listNetworks),
		old("GET", "/os-networks/{id}", wire.Reader, "os-networks:show", a.showNetwork),
		old("GET", "/os-tenant-networks", wire.Reader, "os-tenant-networks:list", a.listTenantNetworks),
		old("GET", "/os-tenant-networks/{id}", wire.Reader, "os-tenant-networks:show", a.showTenantNetwork),
		old("GET", "/os-baremetal-nodes", wire.Admin, "os-baremetal-nodes:list", noBaremetal),
		old("GET", "/os-baremetal-nodes/{id}", wire.Admin, "os-baremetal-nodes:show", noBaremetal),
		old("POST", "/os-baremetal-nodes", wire.Admin, "os-baremetal-nodes:create", ironicOnly("node-create")),
		old("DELETE", "/os-baremetal-nodes/{id}", wire.Admin, "os-baremetal-nodes:delete", ironicOnly("node-delete")),
		old("POST", "/os-baremetal-nodes/{id}/action", wire.Admin, "os-baremetal-nodes:add_interface", ironicOnly("port-create")),
	}
}

// noBaremetal is nova's answer where there is no ironic.
func noBaremetal(*wire.Request) (*wire.Response, error) {
	return nil, cloud.E("nova.baremetal", cloud.Unsupported, "The requested functionality is not supported: there are no bare metal nodes here.")
}

func ironicOnly(command string) wire.Handler {
	return func(*wire.Request) (*wire.Response, error) {
		return nil, cloud.E("nova.baremetal", cloud.Invalid, "Command Not supported. Please use Ironic command %s to perform this action.", command)
	}
}

func (a *api) listPools(r *wire.Request) (*wire.Response, error) {
	pools, err := a.svc.Pools(r.Context(), r.Caller)
	list := []wire.M{}
	for _, n := range pools {
		name := n.Name
		if name == "" {
			name = n.ID
		}
		list = append(list, wire.M{"name": name})
	}
	return wire.JSON(wire.M{"floating_ip_pools": list}), err
}

func floatingView(f compute.FloatingIP) wire.M {
	m := wire.M{"id": f.ID, "ip": f.IP.String(), "pool": f.Pool, "fixed_ip": nil, "instance_id": orNull(f.ServerID)}
	if f.FixedIP.IsValid() {
		m["fixed_ip"] = f.FixedIP.String()
	}
	return m
}

func (a *api) listFloating(r *wire.Request) (*wire.Response, error) {
	all, err := a.svc.FloatingIPs(r.Context(), r.Caller)
	list := make([]wire.M, len(all))
	for i := range all {
		list[i] = floatingView(all[i])
	}
	return wire.JSON(wire.M{"floating_ips": list}), err
}

func (a *api) showFloating(r *wire.Request) (*wire.Response, error) {
	id, err := floatingID(r)
	if err != nil {
		return nil, err
	}
	f, err := a.svc.FloatingIP(r.Context(), r.Caller, id)
	return wire.JSON(wire.M{"floating_ip": floatingView(f)}), err
}

// floatingID reads the id of the path.
func floatingID(r *wire.Request) (string, error) {
	id := r.PathValue("id")
	if !cloud.IsID(id) {
		return "", cloud.E("nova.floating", cloud.Invalid, "Invalid ID received %s.", id)
	}
	return id, nil
}

// createFloating takes a body or none.
func (a *api) createFloating(r *wire.Request) (*wire.Response, error) {
	var in struct{ Pool *string }
	if r.ContentLength != 0 {
		raw, err := body(r)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(raw, &in); err != nil {
			return nil, cloud.E("nova.createFloating", cloud.Invalid, "Malformed request body")
		}
	}
	f, err := a.svc.CreateFloatingIP(r.Context(), r.Caller, orBlank(in.Pool))
	return wire.JSON(wire.M{"floating_ip": floatingView(f)}), err
}

func (a *api) deleteFloating(r *wire.Request) (*wire.Response, error) {
	id, err := floatingID(r)
	if err != nil {
		return nil, err
	}
	return wire.Accepted(nil), a.svc.DeleteFloatingIP(r.Context(), r.Caller, id)
}

// addFloatingIP and removeFloatingIP are actions until 2.43.
func (a *api) addFloatingIP(r *wire.Request, raw []byte, id string) (*wire.Response, error) {
	var in struct {
		Add struct {
			Address string
			Fixed   string `json:"fixed_address"`
		} `json:"addFloatingIp"`
	}
	if r.Version.AtLeast(44) {
		return nil, noAction("addFloatingIp")
	}
	if err := a.schemas.decodeBytes(r, raw, "floating_ips.json#/addFloatingIp", &in); err != nil {
		return nil, err
	}
	fixed, _ := netip.ParseAddr(in.Add.Fixed) // the schema has looked at both
	ip, _ := netip.ParseAddr(in.Add.Address)
	return wire.Accepted(nil), a.svc.AddFloatingIP(r.Context(), r.Caller, id, ip, fixed)
}

func (a *api) removeFloatingIP(r *wire.Request, raw []byte, id string) (*wire.Response, error) {
	var in struct {
		Remove struct{ Address string } `json:"removeFloatingIp"`
	}
	if r.Version.AtLeast(44) {
		return nil, noAction("removeFloatingIp")
	}
	if err := a.schemas.decodeBytes(r, raw, "floating_ips.json#/removeFloatingIp", &in); err != nil {
		return nil, err
	}
	ip, _ := netip.ParseAddr(in.Remove.Address)
	return wire.Accepted(nil), a.svc.RemoveFloatingIP(r.Context(), r.Caller, id, ip)
}

// The members of a network of nova's own, of which only the id and the label are
// left.
var (
	networkMembers = []string{"cidr", "netmask", "gateway", "broadcast", "dns1", "dns2", "cidr_v6", "gateway_v6", "netmask_v6"}
	adminMembers   = []string{"created_at", "updated_at", "deleted_at", "deleted", "injected", "bridge", "vlan", "vpn_public_address",
		"vpn_public_port", "vpn_private_address", "dhcp_start", "project_id", "host", "bridge_interface", "multi_host", "priority",
		"rxtx_base", "mtu", "dhcp_server", "enable_dhcp", "share_address"}
)

func networkView(r *wire.Request, n cloud.Network) wire.M {
	m := wire.M{"id": n.ID, "label": n.Name}
	for _, name := range networkMembers {
		m[name] = nil
	}
	if r.Caller.IsAdmin() {
		for _, name := range adminMembers {
			m[name] = nil
		}
	}
	return m
}

// tenantView says a network as nova did over neutron: the cidr is the word None.
func tenantView(_ *wire.Request, n cloud.Network) wire.M {
	return wire.M{"id": n.ID, "cidr": "None", "label": n.Name}
}

func (a *api) listNetworks(r *wire.Request) (*wire.Response, error) {
	return a.networksAs(r, networkView)
}

func (a *api) listTenantNetworks(r *wire.Request) (*wire.Response, error) {
	return a.networksAs(r, tenantView)
}

func (a *api) networksAs(r *wire.Request, view func(*wire.Request, cloud.Network) wire.M) (*wire.Response, error) {
	all, err := a.svc.Networks(r.Context(), r.Caller)
	list := make([]wire.M, len(all))
	for i := range all {
		list[i] = view(r, all[i])
	}
	return wire.JSON(wire.M{"networks": list}), err
}

func (a *api) showNetwork(r *wire.Request) (*wire.Response, error) {
	return a.networkAs(r, networkView)
}

func (a *api) showTenantNetwork(r *wire.Request) (*wire.Response, error) {
	return a.networkAs(r, tenantView)
}

func (a *api) networkAs(r *wire.Request, view func(*wire.Request, cloud.Network) wire.M) (*wire.Response, error) {
	all, err := a.svc.Networks(r.Context(), r.Caller)
	for _, n := range all {
		if n.ID == r.PathValue("id") {
			return wire.JSON(wire.M{"network": view(r, n)}), nil
		}
	}
	if err == nil {
		err = cloud.E("nova.showNetwork", cloud.NotFound, "Network not found")
	}
	return nil, err
}
