package nova

import (
	"net/url"
	"strconv"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

// consolePath is where consoles are answered, beside the APIs.
const consolePath = "/console/"

func (a *api) verbRoutes() []wire.Route {
	return []wire.Route{
		since(6, route("POST", "/servers/{id}/remote-consoles", wire.Member, "os-remote-consoles", a.remoteConsole)),
		route("GET", "/os-console-auth-tokens/{token}", wire.Admin, "os-console-auth-tokens", a.consoleToken),
		route("GET", "/servers/{id}/os-server-password", wire.Reader, "os-server-password:show", a.serverPassword),
		route("DELETE", "/servers/{id}/os-server-password", wire.Member, "os-server-password:clear", a.clearPassword),
		since(78, route("GET", "/servers/{id}/topology", wire.Reader, "compute:server:topology:index", a.topology)),
		route("GET", "/servers/{id}/diagnostics", wire.Admin, "os-server-diagnostics", a.diagnostics),
	}
}

// serverPassword is the encrypted password that a guest has posted to its
// metadata service.
func (a *api) serverPassword(r *wire.Request) (*wire.Response, error) {
	password, err := a.svc.GuestPassword(r.Context(), r.Caller, r.PathValue("id"))
	return wire.JSON(wire.M{"password": password}), err
}

func (a *api) clearPassword(r *wire.Request) (*wire.Response, error) {
	return wire.NoContent(), a.svc.ClearGuestPassword(r.Context(), r.Caller, r.PathValue("id"))
}

// consoleTypes are the consoles that there are: type to what it shows. SPICE,
// RDP and the others are of hypervisors that have them.
var consoleTypes = map[string]cloud.ConsoleKind{"novnc": cloud.ConsoleVNC, "serial": cloud.ConsoleSerial}

// askConsole makes the address at which a console is open once.
func (a *api) askConsole(r *wire.Request, id, typ string) (string, error) {
	kind, ok := consoleTypes[typ]
	if !ok {
		if _, err := a.svc.Server(r.Context(), r.Caller, id); err != nil {
			return "", err
		}
		return "", cloud.E("nova.console", cloud.Invalid, "Unavailable console type %s.", typ)
	}
	token, err := a.svc.AskConsole(r.Context(), r.Caller, id, kind, typ)
	if err != nil {
		return "", err
	}
	if kind == cloud.ConsoleSerial {
		return "ws" + r.BaseURL[len("http"):] + consolePath + "?token=" + token, nil
	}
	return r.BaseURL + consolePath + "vnc_auto.html?path=" + url.QueryEscape(consolePath[1:]+"?token="+token), nil
}

func (a *api) remoteConsole(r *wire.Request) (*wire.Response, error) {
	var in struct {
		Console struct{ Protocol, Type string } `json:"remote_console"`
	}
	if err := a.schemas.decode(r, "verbs.json#/remote_console", &in); err != nil {
		return nil, err
	}
	c := in.Console
	if want := map[string]string{"novnc": "vnc", "xvpvnc": "vnc", "spice-html5": "spice", "rdp-html5": "rdp", "serial": "serial", "webmks": "mks"}[c.Type]; want != c.Protocol {
		return nil, cloud.E("nova.remoteConsole", cloud.Invalid, "Unavailable console type %s.", c.Type)
	}
	address, err := a.askConsole(r, r.PathValue("id"), c.Type)
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"remote_console": wire.M{"protocol": c.Protocol, "type": c.Type, "url": address}}), nil
}

// oldConsole is an action of before 2.6.
func (a *api) oldConsole(name string) action {
	return a.betweenVerb(1, 5, func(r *wire.Request, raw []byte, id string) (*wire.Response, error) {
		in := map[string]struct{ Type string }{}
		if err := a.readVerb(r, raw, name, &in); err != nil {
			return nil, err
		}
		address, err := a.askConsole(r, id, in[name].Type)
		if err != nil {
			return nil, err
		}
		return wire.JSON(wire.M{"console": wire.M{"type": in[name].Type, "url": address}}), nil
	})
}

// consoleToken tells a proxy where a token leads. Before 2.31 it was for RDP
// alone, which there is none of.
func (a *api) consoleToken(r *wire.Request) (*wire.Response, error) {
	const op = "nova.consoleToken"
	t, err := a.svc.ConsoleToken(r.Context(), r.PathValue("token"))
	if err != nil {
		return nil, err
	}
	if !r.Version.AtLeast(31) {
		return nil, cloud.E(op, cloud.Unauthenticated, "The requested console type details are not accessible")
	}
	port := 0
	if u, err := url.Parse(r.BaseURL); err == nil {
		port, _ = strconv.Atoi(u.Port()) // none: the scheme's own
	}
	return wire.JSON(wire.M{"console": wire.M{"instance_uuid": t.ServerID, "host": t.Node, "port": port, "internal_access_path": nil}}), nil
}

// topology is which cells of the host's memory and processors a server is bound
// to: none here, which nova says of servers without hw:numa_nodes
// (nova/api/openstack/compute/server_topology.py).
func (a *api) topology(r *wire.Request) (*wire.Response, error) {
	if _, err := a.svc.Server(r.Context(), r.Caller, r.PathValue("id")); err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"nodes": []wire.M{}, "pagesize_kb": nil}), nil
}

// diagnostics is what a guest costs its host. What is not measured is null
// (nova/objects/diagnostics.py).
func (a *api) diagnostics(r *wire.Request) (*wire.Response, error) {
	d, s, err := a.svc.Diagnostics(r.Context(), r.Caller, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	if !r.Version.AtLeast(48) { // the hypervisor's own words, as nova's driver for libvirt has them
		return wire.JSON(wire.M{"cpu0_time": s.CPU.Nanoseconds(), "memory": d.Flavor.MemoryMB << 10, "memory-actual": d.Flavor.MemoryMB << 10, "memory-rss": s.ResidentBytes >> 10}), nil
	}
	cpus, nics := []wire.M{}, []wire.M{}
	for i := range d.Flavor.VCPUs {
		cpu := wire.M{"id": i, "time": nil, "utilisation": nil}
		if d.Flavor.VCPUs == 1 {
			cpu["time"] = s.CPU.Nanoseconds()
		}
		cpus = append(cpus, cpu)
	}
	for i := range d.Ports {
		nic := wire.M{"mac_address": d.Ports[i].MAC}
		for _, way := range []string{"rx", "tx"} {
			for _, what := range []string{"octets", "packets", "errors", "drop", "rate"} {
				nic[way+"_"+what] = nil
			}
		}
		nics = append(nics, nic)
	}
	state := map[cloud.InstanceState]string{cloud.InstanceRunning: "running", cloud.InstancePaused: "paused"}[d.Seen.State]
	body := wire.M{
		"state": orNull(state), "driver": "libvirt", "hypervisor": orNull(s.Hypervisor), "hypervisor_os": "linux", "uptime": nil,
		"config_drive": d.ConfigDrive, "num_cpus": len(cpus), "num_nics": len(nics), "num_disks": 1 + len(d.Volumes),
		"disk_details": []wire.M{}, "cpu_details": cpus, "nic_details": nics,
		"memory_details": wire.M{"maximum": d.Flavor.MemoryMB, "used": s.ResidentBytes >> 20},
	}
	return wire.JSON(body), nil
}
