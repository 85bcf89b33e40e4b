package nova

import (
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/compute"
)

// oldHostRoutes are the hosts as they were until 2.42: hypervisors and services
// say the same.
func (a *api) oldHostRoutes() []wire.Route {
	one := "/os-hosts/{id}"
	return []wire.Route{
		until(42, route("GET", "/os-hosts", wire.Admin, "os-hosts:list", a.listHosts)),
		until(42, route("GET", one, wire.Admin, "os-hosts:show", a.showHost)),
		until(42, route("PUT", one, wire.Admin, "os-hosts:update", a.updateHost)),
		until(42, route("GET", one+"/startup", wire.Admin, "os-hosts:start", a.hostPower)),
		until(42, route("GET", one+"/shutdown", wire.Admin, "os-hosts:shutdown", a.hostPower)),
		until(42, route("GET", one+"/reboot", wire.Admin, "os-hosts:reboot", a.hostPower)),
	}
}

func (a *api) listHosts(r *wire.Request) (*wire.Response, error) {
	hosts, err := a.svc.Hosts(r.Context())
	zone := r.URL.Query().Get("zone")
	list := []wire.M{}
	for _, binary := range headBinaries {
		if zone == "" || zone == internalZone {
			list = append(list, wire.M{"host_name": a.svc.Head(), "service": strings.TrimPrefix(binary, "nova-"), "zone": internalZone})
		}
	}
	for _, h := range hosts {
		if !h.Disabled && (zone == "" || zone == h.AvailabilityZone) {
			list = append(list, wire.M{"host_name": h.Name, "service": "compute", "zone": h.AvailabilityZone})
		}
	}
	return wire.JSON(wire.M{"hosts": list}), err
}

// host finds the host of the path.
func (a *api) host(r *wire.Request) (compute.HostDetail, error) {
	hosts, err := a.svc.Hosts(r.Context())
	if err != nil {
		return compute.HostDetail{}, err
	}
	for _, h := range hosts {
		if h.Name == r.PathValue("id") {
			return h, nil
		}
	}
	return compute.HostDetail{}, compute.NoHost("nova.host", r.PathValue("id"))
}

func (a *api) showHost(r *wire.Request) (*wire.Response, error) {
	h, err := a.host(r)
	if err != nil {
		return nil, err
	}
	list := []wire.M{}
	add := func(project string, cpu, memory, disk int) {
		list = append(list, wire.M{"resource": wire.M{"host": h.Name, "project": project, "cpu": cpu, "memory_mb": memory, "disk_gb": disk}})
	}
	add("(total)", h.Seen.VCPUs, h.Seen.MemoryMB, h.Seen.DiskGB)
	add("(used_now)", h.Used.VCPUs, h.Used.MemoryMB+h.Seen.ReservedMB, h.Used.DiskGB)
	var projects []string
	sums := map[string]*[3]int{"": {}}
	for _, s := range h.Servers {
		if sums[s.ProjectID] == nil {
			projects, sums[s.ProjectID] = append(projects, s.ProjectID), &[3]int{}
		}
		for _, sum := range []*[3]int{sums[""], sums[s.ProjectID]} {
			sum[0] += s.Flavor.VCPUs
			sum[1] += s.Flavor.MemoryMB
			sum[2] += s.Flavor.RootGB + s.Flavor.EphemeralGB
		}
	}
	add("(used_max)", sums[""][0], sums[""][1], sums[""][2])
	for _, p := range projects {
		add(p, sums[p][0], sums[p][1], sums[p][2])
	}
	return wire.JSON(wire.M{"host": list}), nil
}

func (a *api) updateHost(r *wire.Request) (*wire.Response, error) {
	var in struct {
		Status      *string
		Maintenance *string `json:"maintenance_mode"`
	}
	if err := a.schemas.decode(r, "hosts.json#/update", &in); err != nil {
		return nil, err
	}
	h, err := a.host(r)
	if err != nil {
		return nil, err
	}
	if in.Maintenance != nil {
		return nil, notOnHosts()
	}
	enabled := strings.EqualFold(*in.Status, "enable")
	if _, err := a.svc.ChangeHost(r.Context(), h.Name, compute.HostChange{Enabled: &enabled}); err != nil {
		return nil, err
	}
	status := "disabled"
	if enabled {
		status = "enabled"
	}
	return wire.JSON(wire.M{"host": h.Name, "status": status}), nil
}

// hostPower is not done by libvirt's driver in nova either.
func (a *api) hostPower(r *wire.Request) (*wire.Response, error) {
	if _, err := a.host(r); err != nil {
		return nil, err
	}
	return nil, notOnHosts()
}

func notOnHosts() error {
	return cloud.E("nova.host", cloud.Unsupported, "The requested functionality is not supported: hosts are not switched by this API.")
}
