package nova

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/compute"
)

func (a *api) hostRoutes() []wire.Route {
	hv := "/os-hypervisors"
	return []wire.Route{
		route("GET", "/os-availability-zone", wire.Reader, "os-availability-zone:list", a.listZones),
		route("GET", "/os-availability-zone/detail", wire.Admin, "os-availability-zone:detail", a.detailZones),
		route("GET", hv, wire.Admin, "os-hypervisors:list", a.listHypervisors(false)),
		route("GET", hv+"/detail", wire.Admin, "os-hypervisors:list-detail", a.listHypervisors(true)),
		until(87, route("GET", hv+"/statistics", wire.Admin, "os-hypervisors:statistics", a.hypervisorStatistics)),
		route("GET", hv+"/{id}", wire.Admin, "os-hypervisors:show", a.showHypervisor),
		until(87, route("GET", hv+"/{id}/uptime", wire.Admin, "os-hypervisors:uptime", a.hypervisorUptime)),
		until(52, route("GET", hv+"/{id}/search", wire.Admin, "os-hypervisors:search", a.searchHypervisors(false))),
		until(52, route("GET", hv+"/{id}/servers", wire.Admin, "os-hypervisors:servers", a.searchHypervisors(true))),
		route("GET", "/os-services", wire.Admin, "os-services:list", a.listServices),
		until(52, route("PUT", "/os-services/{id}", wire.Admin, "os-services:update", a.switchService)),
		since(53, route("PUT", "/os-services/{id}", wire.Admin, "os-services:update", a.updateService)),
		route("DELETE", "/os-services/{id}", wire.Admin, "os-services:delete", a.deleteService),
	}
}

// hypervisorID is the id in a microversion: a UUID from 2.53 on, a number before.
func hypervisorID(r *wire.Request, h cloud.Host) any {
	if r.Version.AtLeast(53) {
		return h.ID
	}
	return number32(h.Name)
}

// upDown and onOff are nova's words.
func upDown(up bool) string {
	if up {
		return "up"
	}
	return "down"
}

func onOff(h cloud.Host) string {
	if h.Disabled || h.Draining {
		return "disabled"
	}
	return "enabled"
}

// hypervisorView is a host, in brief or whole.
func hypervisorView(r *wire.Request, h compute.HostDetail, whole bool) wire.M {
	m := wire.M{"id": hypervisorID(r, h.Host), "hypervisor_hostname": h.Name, "state": upDown(h.Up), "status": onOff(h.Host)}
	if !whole {
		return m
	}
	m["hypervisor_type"], m["hypervisor_version"], m["host_ip"] = h.Seen.Hypervisor, h.Seen.HypervisorVersion, h.Seen.HostIP
	m["service"] = wire.M{"id": serviceID(r, h.Host), "host": h.Name, "disabled_reason": orNull(h.DisabledReason)}
	if r.Version.AtLeast(88) {
		m["uptime"] = nil
		if text, ok := uptimeOf(h); ok && h.Up {
			m["uptime"] = text
		}
		return m
	}
	addResources(m, h)
	info := wire.M{"arch": h.Seen.CPUArch, "model": h.Seen.CPUModel}
	m["cpu_info"] = info
	if !r.Version.AtLeast(28) {
		text, _ := json.Marshal(info) // of two strings: cannot fail
		m["cpu_info"] = string(text)
	}
	return m
}

// addResources adds what a host has and what is used of it.
func addResources(m wire.M, h compute.HostDetail) {
	m["vcpus"], m["memory_mb"], m["local_gb"] = h.Seen.VCPUs, h.Seen.MemoryMB, h.Seen.DiskGB
	m["vcpus_used"], m["memory_mb_used"], m["local_gb_used"] = h.Used.VCPUs, h.Used.MemoryMB+h.Seen.ReservedMB, h.Used.DiskGB
	m["free_ram_mb"], m["free_disk_gb"] = h.Seen.MemoryMB-h.Seen.ReservedMB-h.Used.MemoryMB, h.Seen.DiskGB-h.Used.DiskGB
	m["current_workload"], m["running_vms"], m["disk_available_least"] = busy(h), h.Used.Servers, h.Seen.DiskFreeGB
}

// busy counts the servers with a task under way.
func busy(h compute.HostDetail) int {
	n := 0
	for _, s := range h.Servers {
		if s.TaskState() != cloud.TaskNone {
			n++
		}
	}
	return n
}

func addServers(m wire.M, h compute.HostDetail) {
	list := []wire.M{}
	for _, s := range h.Servers {
		list = append(list, wire.M{"name": s.Name, "uuid": s.ID})
	}
	m["servers"] = list
}

// matching keeps the hosts whose name contains the pattern; NotFound for none.
func matching(hosts []compute.HostDetail, pattern string) ([]compute.HostDetail, error) {
	hosts = slices.DeleteFunc(hosts, func(h compute.HostDetail) bool {
		return !strings.Contains(h.Name, strings.Trim(pattern, "%"))
	})
	if len(hosts) == 0 {
		return nil, cloud.E("nova.hypervisors", cloud.NotFound, "No hypervisor matching '%s' could be found.", pattern)
	}
	return hosts, nil
}

func (a *api) listHypervisors(whole bool) wire.Handler {
	return func(r *wire.Request) (*wire.Response, error) {
		with, err := withServers(r)
		if err := wire.First(err, a.hypervisorQuery(r)); err != nil {
			return nil, err
		}
		hosts, err := a.svc.Hosts(r.Context())
		if err != nil {
			return nil, err
		}
		body := wire.M{}
		q := r.URL.Query()
		pattern := q.Has("hypervisor_hostname_pattern") && r.Version.AtLeast(53)
		if pattern && (q.Has("limit") || q.Get("marker") != "") {
			return nil, cloud.E("nova.hypervisors", cloud.Invalid, "Paging over hypervisors with the hypervisor_hostname_pattern query parameter is not supported.")
		}
		if pattern {
			if hosts, err = matching(hosts, q.Get("hypervisor_hostname_pattern")); err != nil {
				return nil, err
			}
		}
		if r.Version.AtLeast(33) {
			if hosts, err = pageHosts(r, hosts, body); err != nil {
				return nil, err
			}
		}
		views := make([]wire.M, len(hosts))
		for i, h := range hosts {
			views[i] = hypervisorView(r, h, whole)
			if with && (len(h.Servers) > 0 || r.Version.AtLeast(75)) {
				addServers(views[i], h)
			}
		}
		body["hypervisors"] = views
		return wire.JSON(body), nil
	}
}

// hypervisorQuery judges the parameters of the lists: from 2.53 on only those
// that nova knows, and a pattern that could be of a host's name.
func (a *api) hypervisorQuery(r *wire.Request) error {
	const pattern = "hypervisor_hostname_pattern"
	if err := strictFrom(53, r, "limit", "marker", pattern, "with_servers"); err != nil {
		return err
	}
	q := r.URL.Query()
	if !q.Has(pattern) || !r.Version.AtLeast(53) {
		return nil
	}
	if err := a.schemas.check(q.Get(pattern), "types.json#/fqdn", r.Version.Minor); err != nil {
		return cloud.E("nova.hypervisors", cloud.Invalid, "Invalid input for query parameters %s. Value: %s. %s", pattern, q.Get(pattern), cloud.Message(err))
	}
	return nil
}

// pageHosts takes the page that is asked for, and adds the link to the next.
func pageHosts(r *wire.Request, hosts []compute.HostDetail, body wire.M) ([]compute.HostDetail, error) {
	limit, marker, err := page(r)
	if err != nil {
		return nil, err
	}
	id := func(h compute.HostDetail) string { return numberOrText(hypervisorID(r, h.Host)) }
	if marker != "" {
		i := slices.IndexFunc(hosts, func(h compute.HostDetail) bool { return id(h) == marker })
		if i < 0 {
			return nil, cloud.E("nova.hypervisors", cloud.Invalid, "marker [%s] not found", marker)
		}
		hosts = hosts[i+1:]
	}
	if len(hosts) > limit {
		hosts = hosts[:limit]
		if limit > 0 {
			body["hypervisors_links"] = nextLinks(r, id(hosts[limit-1]))
		}
	}
	return hosts, nil
}

func numberOrText(v any) string {
	if n, ok := v.(int); ok {
		return strconv.Itoa(n)
	}
	return v.(string)
}

// hypervisor finds the host of the id in the path.
func (a *api) hypervisor(r *wire.Request, op string) (compute.HostDetail, error) {
	id := r.PathValue("id")
	if r.Version.AtLeast(53) && !cloud.IsID(id) {
		return compute.HostDetail{}, cloud.E(op, cloud.Invalid, "Invalid uuid %s", id)
	}
	hosts, err := a.svc.Hosts(r.Context())
	if err != nil {
		return compute.HostDetail{}, err
	}
	for _, h := range hosts {
		if numberOrText(hypervisorID(r, h.Host)) == id {
			return h, nil
		}
	}
	return compute.HostDetail{}, cloud.E(op, cloud.NotFound, "Hypervisor with ID '%s' could not be found.", id)
}

// withServers reads the query parameter of 2.53.
func withServers(r *wire.Request) (bool, error) {
	q := r.URL.Query()
	text := q.Get("with_servers")
	if !r.Version.AtLeast(53) || !q.Has("with_servers") {
		return false, nil
	}
	return wire.ParseBool("with_servers", text)
}

func (a *api) showHypervisor(r *wire.Request) (*wire.Response, error) {
	with, err := withServers(r)
	if err := wire.First(err, strictFrom(53, r, "with_servers")); err != nil {
		return nil, err
	}
	h, err := a.hypervisor(r, "nova.showHypervisor")
	if err != nil {
		return nil, err
	}
	m := hypervisorView(r, h, true)
	if with && (len(h.Servers) > 0 || r.Version.AtLeast(75)) {
		addServers(m, h)
	}
	return wire.JSON(wire.M{"hypervisor": m}), nil
}

// uptimeOf is what the command uptime would print on the host, which is what nova
// hands on; false where the node does not report when it booted.
func uptimeOf(h compute.HostDetail) (string, bool) {
	if h.Seen.BootedAt.IsZero() {
		return "", false
	}
	up := h.SeenAt.Sub(h.Seen.BootedAt)
	days, minutes := int(up.Hours())/24, int(up.Minutes())
	since := fmt.Sprintf("%d:%02d", minutes/60%24, minutes%60)
	if minutes/60%24 == 0 {
		since = fmt.Sprintf("%d min", minutes%60)
	}
	switch {
	case days == 1:
		since = "1 day, " + since
	case days > 1:
		since = fmt.Sprintf("%d days, %s", days, since)
	}
	return fmt.Sprintf(" %s up %s,  0 users,  load average: %.2f, %.2f, %.2f\n", h.SeenAt.Format("15:04:05"), since, h.Seen.Load[0], h.Seen.Load[1], h.Seen.Load[2]), true
}

func (a *api) hypervisorUptime(r *wire.Request) (*wire.Response, error) {
	const op = "nova.hypervisorUptime"
	h, err := a.hypervisor(r, op)
	if err != nil {
		return nil, err
	}
	text, ok := uptimeOf(h)
	switch {
	case !h.Up:
		return nil, cloud.E(op, cloud.Invalid, "Compute service of %s is unavailable at this time.", h.Name)
	case !ok:
		return nil, cloud.E(op, cloud.Unsupported, "the node %s does not report its uptime", h.Name)
	}
	m := hypervisorView(r, h, false)
	m["uptime"] = text
	return wire.JSON(wire.M{"hypervisor": m}), nil
}

func (a *api) searchHypervisors(servers bool) wire.Handler {
	return func(r *wire.Request) (*wire.Response, error) {
		hosts, err := a.svc.Hosts(r.Context())
		if err == nil {
			hosts, err = matching(hosts, r.PathValue("id"))
		}
		if err != nil {
			return nil, err
		}
		views := make([]wire.M, len(hosts))
		for i, h := range hosts {
			views[i] = hypervisorView(r, h, false)
			if servers && len(h.Servers) > 0 {
				addServers(views[i], h)
			}
		}
		return wire.JSON(wire.M{"hypervisors": views}), nil
	}
}

// counted are the fields that the statistics add up.
var counted = []string{"vcpus", "memory_mb", "local_gb", "vcpus_used", "memory_mb_used", "local_gb_used", "free_ram_mb",
	"free_disk_gb", "current_workload", "running_vms", "disk_available_least"}

func (a *api) hypervisorStatistics(r *wire.Request) (*wire.Response, error) {
	hosts, err := a.svc.Hosts(r.Context())
	if err != nil {
		return nil, err
	}
	sum := wire.M{"count": len(hosts)}
	for _, name := range counted {
		total := 0
		for _, h := range hosts {
			m := wire.M{}
			addResources(m, h)
			total += m[name].(int)
		}
		sum[name] = total
	}
	return wire.JSON(wire.M{"hypervisor_statistics": sum}), nil
}

// zonesOf lists the zones: those with an enabled host first, as nova does.
func (a *api) zonesOf(r *wire.Request) ([]compute.Zone, error) {
	zones, err := a.svc.Zones(r.Context())
	slices.SortStableFunc(zones, func(x, y compute.Zone) int {
		switch {
		case x.Available == y.Available:
			return 0
		case x.Available:
			return -1
		}
		return 1
	})
	return zones, err
}

func (a *api) listZones(r *wire.Request) (*wire.Response, error) {
	zones, err := a.zonesOf(r)
	list := []wire.M{}
	for _, z := range zones {
		list = append(list, wire.M{"zoneName": z.Name, "zoneState": wire.M{"available": z.Available}, "hosts": nil})
	}
	return wire.JSON(wire.M{"availabilityZoneInfo": list}), err
}

func (a *api) detailZones(r *wire.Request) (*wire.Response, error) {
	zones, err := a.zonesOf(r)
	own := wire.M{}
	for _, binary := range headBinaries {
		own[binary] = wire.M{"available": true, "active": true, "updated_at": stampMicro(a.svc.Now())}
	}
	list := []wire.M{{"zoneName": internalZone, "zoneState": wire.M{"available": true}, "hosts": wire.M{a.svc.Head(): own}}}
	for _, z := range zones {
		m := wire.M{"zoneName": z.Name, "zoneState": wire.M{"available": z.Available}, "hosts": nil}
		if z.Available {
			hosts := wire.M{}
			for _, h := range z.Hosts {
				if h.Active {
					hosts[h.Name] = wire.M{"nova-compute": wire.M{"available": h.Up, "active": true, "updated_at": stampMicro(h.SeenAt)}}
				}
			}
			m["hosts"] = hosts
		}
		list = append(list, m)
	}
	return wire.JSON(wire.M{"availabilityZoneInfo": list}), err
}
