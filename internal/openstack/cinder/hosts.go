package cinder

import (
	"cmp"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/volume"
)

// The parts of the service that lists name: every node keeps volumes, and the
// head places them.
const (
	binaryVolume    = "cinder-volume"
	binaryScheduler = "cinder-scheduler"
)

func (a *api) hostRoutes() []wire.Route {
	return []wire.Route{
		route("GET", "/os-services", wire.Admin, "volume_extension:services:index", a.listServices),
		route("PUT", "/os-services/{action}", wire.Admin, "volume_extension:services:update", a.updateService),
		route("GET", "/os-hosts", wire.Admin, "volume_extension:hosts", a.listHosts),
		route("GET", "/os-hosts/{host}", wire.Admin, "volume_extension:hosts", a.showHost),
		route("GET", "/scheduler-stats/get_pools", wire.Admin, "scheduler_extension:scheduler_stats:get_pools", a.pools),
		route("GET", "/capabilities/{host}", wire.Admin, "volume_extension:capabilities", a.capabilities),
		route("GET", "/os-availability-zone", wire.Reader, "volume_extension:availability_zone_list", a.zones),
		route("GET", "/extensions", wire.Reader, "volume_extension:list_extensions", a.extensions),
		route("GET", "/extensions/{alias}", wire.Reader, "volume_extension:list_extensions", a.extension),
	}
}

// nodeOf is the node of a name such as host@backend#pool.
func nodeOf(name string) string {
	node, _, _ := strings.Cut(name, "@")
	return node
}

// part is an entry of the list of services.
type part struct {
	host   volume.Host
	pool   cloud.PoolStatus
	name   string
	binary string
}

func parts(hosts []volume.Host) (list []part) {
	for i, h := range hosts {
		if i == 0 {
			list = append(list, part{h, cloud.PoolStatus{}, h.Name, binaryScheduler})
		}
		for _, p := range h.Pools() {
			list = append(list, part{h, p, cloud.VolumeBackend(h.Name, p.Name), binaryVolume})
		}
	}
	return list
}

// disabled tells whether the part is switched off, and why.
func (p part) disabled() (disabled bool, reason string) {
	if p.binary != binaryVolume {
		return false, ""
	}
	return p.host.PoolDisabled(p.pool.Name)
}

// up tells whether the part works: a pool that cannot be used is down.
func (p part) up() bool { return p.host.Up && p.pool.Fault == "" }

func upDown(up bool) string {
	if up {
		return "up"
	}
	return "down"
}

func onOff(disabled bool) string {
	if disabled {
		return "disabled"
	}
	return "enabled"
}

func (a *api) listServices(r *wire.Request) (*wire.Response, error) {
	hosts, err := a.svc.Hosts(r.Context(), false)
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	list := []wire.M{}
	for _, p := range parts(hosts) {
		host := q.Get("host")
		if host != "" && host != p.name && host != p.host.Name || q.Get("binary") != "" && q.Get("binary") != p.binary {
			continue
		}
		disabled, reason := p.disabled()
		m := wire.M{
			"binary": p.binary, "host": p.name, "zone": p.host.AvailabilityZone, "status": onOff(disabled),
			"state": upDown(p.up()), "updated_at": stamp(p.host.SeenAt), "disabled_reason": nil,
		}
		if disabled {
			m["disabled_reason"] = orNull(reason)
		}
		if p.binary == binaryVolume {
			m["replication_status"], m["active_backend_id"], m["frozen"] = "disabled", nil, false
			if r.Version.AtLeast(49) {
				m["backend_state"] = m["state"]
			}
		}
		if r.Version.AtLeast(7) {
			m["cluster"] = nil
		}
		list = append(list, m)
	}
	return wire.JSON(wire.M{"services": list}), nil
}

func (a *api) updateService(r *wire.Request) (*wire.Response, error) {
	const op = "cinder.updateService"
	var in struct {
		Host, Binary, Service string
		Server, Prefix        string
		Reason                *string `json:"disabled_reason"`
	}
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	action := r.PathValue("action")
	if in.Binary == "" {
		in.Binary = in.Service
	}
	switch {
	case slices.Contains([]string{"freeze", "thaw", "failover_host"}, action), action == "failover" && r.Version.AtLeast(26):
		return nil, a.freeze(r, action, in.Host)
	case action == "get-log" && r.Version.AtLeast(32):
		return a.logLevels(r, in.Binary, in.Server, in.Prefix)
	case action == "set-log" && r.Version.AtLeast(32):
		return nil, cloud.E(op, cloud.Unsupported, "The level of the log is set in the configuration (log_level), with a restart; guests go on meanwhile.")
	case !slices.Contains([]string{"enable", "disable", "disable-log-reason"}, action):
		return nil, cloud.E(op, cloud.NotFound, "Unknown action %s", action)
	case in.Host == "" || in.Binary == "":
		return nil, cloud.E(op, cloud.Invalid, "Missing required element 'host' or 'binary' in request body.")
	case action == "disable-log-reason" && text(in.Reason) == "":
		return nil, cloud.E(op, cloud.Invalid, "Missing required element 'disabled_reason' in request body.")
	case in.Binary != binaryVolume:
		return nil, cloud.E(op, cloud.NotFound, "Service %s on host %s could not be found, or cannot be switched off.", in.Binary, in.Host)
	}
	on := action == "enable"
	if err := a.svc.EnableHost(r.Context(), in.Host, on, text(in.Reason)); err != nil {
		return nil, err
	}
	m := wire.M{"host": in.Host, "service": in.Binary, "binary": in.Binary, "disabled": !on, "status": onOff(!on)}
	if action != "disable" {
		m["disabled_reason"] = orNull(text(in.Reason))
	}
	return wire.JSON(m), nil
}

// logLevels tells the level of the log, which is one for all of the process.
func (a *api) logLevels(r *wire.Request, binary, server, prefix string) (*wire.Response, error) {
	hosts, err := a.svc.Hosts(r.Context(), false)
	if err != nil {
		return nil, err
	}
	list := []wire.M{}
	for _, p := range parts(hosts) {
		if binary != "" && binary != "*" && binary != p.binary || server != "" && nodeOf(server) != p.host.Name {
			continue
		}
		levels := wire.M{}
		if name := "hearth"; strings.HasPrefix(name, prefix) {
			levels[name] = a.svc.LogLevel(r.Context())
		}
		list = append(list, wire.M{"binary": p.binary, "host": p.name, "levels": levels})
	}
	return wire.JSON(wire.M{"log_levels": list}), nil
}

// freeze is refused: to keep new volumes off a node there is disable, and no
// backend here is a replica of another.
func (a *api) freeze(r *wire.Request, action, host string) error {
	hosts, err := a.svc.Hosts(r.Context(), false)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(hosts, func(h volume.Host) bool { return h.Name == nodeOf(host) }) {
		return cloud.E("cinder.freeze", cloud.Invalid, "Service cinder-volume on host %s could not be found.", host)
	}
	if strings.HasPrefix(action, "failover") {
		return cloud.E("cinder.freeze", cloud.Invalid, "Service %s cannot fail over: it has no replication targets.", host)
	}
	return cloud.E("cinder.freeze", cloud.Unsupported, "freeze and thaw are not implemented: disable the service to keep new volumes off a node.")
}

func (a *api) listHosts(r *wire.Request) (*wire.Response, error) {
	hosts, err := a.svc.Hosts(r.Context(), false)
	if err != nil {
		return nil, err
	}
	list := []wire.M{}
	for _, p := range parts(hosts) {
		state := "unavailable"
		if p.up() {
			state = "available"
		}
		disabled, _ := p.disabled()
		if zone := r.URL.Query().Get("zone"); zone != "" && zone != p.host.AvailabilityZone {
			continue
		}
		list = append(list, wire.M{
			"host_name": p.name, "service": p.binary, "zone": p.host.AvailabilityZone, "service-status": state,
			"service-state": onOff(disabled), "last-update": stamp(p.host.SeenAt),
		})
	}
	return wire.JSON(wire.M{"hosts": list}), nil
}

func (a *api) showHost(r *wire.Request) (*wire.Response, error) {
	hosts, err := a.svc.Hosts(r.Context(), true)
	if err != nil {
		return nil, err
	}
	name := r.PathValue("host")
	node, pool := cloud.ParseVolumeHost(name)
	for _, h := range hosts {
		if _, there := h.Pool(pool); h.Name != node || pool != "" && !there {
			continue
		}
		var total volume.HostUse
		projects := map[string]volume.HostUse{}
		for in, uses := range h.Uses {
			for project, u := range uses {
				if pool == "" || pool == in {
					projects[project], total = projects[project].Plus(u), total.Plus(u)
				}
			}
		}
		rows := []wire.M{}
		for project, u := range projects {
			rows = append(rows, useView(name, project, u))
		}
		slices.SortFunc(rows, func(x, y wire.M) int { return cmp.Compare(said(x), said(y)) })
		return wire.JSON(wire.M{"host": append([]wire.M{useView(name, "(total)", total)}, rows...)}), nil
	}
	return nil, cloud.E("cinder.showHost", cloud.NotFound, "Host %s could not be found.", name)
}

func useView(host, project string, u volume.HostUse) wire.M {
	return wire.M{"resource": wire.M{
		"host": host, "project": project, "volume_count": said(u.Volumes), "total_volume_gb": said(u.VolumeGB),
		"snapshot_count": said(u.Snapshots), "total_snapshot_gb": said(u.SnapshotGB),
	}}
}

func (a *api) pools(r *wire.Request) (*wire.Response, error) {
	hosts, err := a.svc.Hosts(r.Context(), true)
	if err != nil {
		return nil, err
	}
	detailed := false
	if text := r.URL.Query().Get("detail"); text != "" {
		if detailed, err = wire.ParseBool("detail", text); err != nil {
			return nil, err
		}
	}
	q := r.URL.Query()
	fits := func(cloud.PoolStatus) bool { return true }
	if kind := q.Get("volume_type"); kind != "" && r.Version.AtLeast(35) {
		if fits, err = a.svc.Fits(r.Context(), r.Caller, kind); err != nil {
			return nil, err
		}
	}
	list := []wire.M{}
	for _, h := range hosts {
		for _, p := range h.Pools() {
			pool := cloud.VolumeHost(h.Name, p.Name)
			if name := q.Get("name"); name != "" && r.Version.AtLeast(28) && name != pool || !fits(p) {
				continue
			}
			m := wire.M{"name": pool}
			if detailed {
				m["capabilities"] = poolView(h, p)
			}
			list = append(list, m)
		}
	}
	return wire.JSON(wire.M{"pools": list}), nil
}

func poolView(h volume.Host, p cloud.PoolStatus) wire.M {
	provisioned, count := 0, 0
	for _, u := range h.Uses[p.Name] {
		provisioned += u.VolumeGB + u.SnapshotGB
		count += u.Volumes
	}
	m := wire.M{}
	for name, value := range p.Capabilities() {
		switch value {
		case "True", "False":
			m[name] = value == "True"
		default:
			m[name] = value
		}
	}
	m["total_capacity_gb"], m["free_capacity_gb"], m["allocated_capacity_gb"] = p.TotalGB, p.FreeGB, provisioned
	m["provisioned_capacity_gb"], m["total_volumes"], m["reserved_percentage"] = provisioned, count, 0
	m["driver_version"], m["timestamp"], m["backend_state"] = "1", stamp(h.SeenAt), upDown(h.Up && p.Fault == "")
	m["updated"] = nil
	m["location_info"] = "hearth:" + h.Name
	return m
}

func (a *api) capabilities(r *wire.Request) (*wire.Response, error) {
	hosts, err := a.svc.Hosts(r.Context(), false)
	if err != nil {
		return nil, err
	}
	node, pool := cloud.ParseVolumeHost(r.PathValue("host"))
	for _, h := range hosts {
		p, there := h.Pool(pool)
		if h.Name != node || !there {
			continue
		}
		return wire.JSON(wire.M{
			"namespace": "OS::Storage::Capabilities::" + cloud.VolumeBackend(h.Name, p.Name), "vendor_name": cloud.VolumeVendor, "volume_backend_name": p.Name,
			"pool_name": nil, "driver_version": "1", "storage_protocol": p.Protocol, "display_name": nil, "description": nil,
			"visibility": nil, "replication_targets": []any{}, "properties": wire.M{
				"thin_provisioning": wire.M{"title": "Thin Provisioning", "description": "Sets thin provisioning.", "type": "boolean"},
			},
		}), nil
	}
	return nil, cloud.E("cinder.capabilities", cloud.NotFound, "Service %s could not be found.", r.PathValue("host"))
}

func (a *api) zones(r *wire.Request) (*wire.Response, error) {
	zones, err := a.svc.Zones(r.Context())
	list := []wire.M{}
	for name, up := range zones {
		list = append(list, wire.M{"zoneName": name, "zoneState": wire.M{"available": up}})
	}
	slices.SortFunc(list, func(x, y wire.M) int { return cmp.Compare(said(x), said(y)) })
	return wire.JSON(wire.M{"availabilityZoneInfo": list}), err
}

// poolFilters are what lists of pools can be narrowed by.
var poolFilters = []string{"name", "volume_type"}

// extensionNames are the extensions of cinder's that there are here, with their
// aliases.
var extensionNames = map[string]string{
	"AdminActions": "os-admin-actions", "AvailabilityZones": "os-availability-zone", "Capabilities": "capabilities",
	"ExtendedSnapshotAttributes": "os-extended-snapshot-attributes", "Hosts": "os-hosts", "Qos_specs_manage": "qos-specs",
	"Quotas": "os-quota-sets", "QuotaClasses": "os-quota-class-sets", "Scheduler_stats": "scheduler-stats", "Services": "os-services",
	"SnapshotActions": "os-snapshot-actions", "TypesExtraSpecs": "os-types-extra-specs", "TypesManage": "os-types-manage",
	"UsedLimits": "os-used-limits", "VolumeActions": "os-volume-actions", "VolumeHostAttribute": "os-vol-host-attr",
	"VolumeImageMetadata": "os-vol-image-meta", "VolumeTenantAttribute": "os-vol-tenant-attr", "VolumeTransfer": "os-volume-transfer",
	"VolumeTypeAccess": "os-volume-type-access", "Backups": "backups", "VolumeManage": "os-volume-manage", "VolumeUnmanage": "os-volume-unmanage",
	"SnapshotManage": "os-snapshot-manage", "SnapshotUnmanage": "os-snapshot-unmanage", "VolumeTypeEncryption": "encryption",
	"VolumeEncryptionMetadata": "os-volume-encryption-metadata", "SchedulerHints": "OS-SCH-HNT", "ExtendedServices": "os-extended-services",
	"VolumeMigStatusAttribute": "os-vol-mig-status-attr", "Consistencygroups": "consistencygroups", "Cgsnapshots": "cgsnapshots",
}

func (a *api) extensions(*wire.Request) (*wire.Response, error) {
	list := []wire.M{}
	for name, alias := range extensionNames {
		list = append(list, extensionView(name, alias))
	}
	slices.SortFunc(list, func(x, y wire.M) int { return cmp.Compare(said(x["alias"]), said(y["alias"])) })
	return wire.JSON(wire.M{"extensions": list}), nil
}

func extensionView(name, alias string) wire.M {
	return wire.M{"name": name, "alias": alias, "description": name + " support.", "updated": "2012-05-29T00:00:00+00:00", "links": []any{}}
}

func (a *api) extension(r *wire.Request) (*wire.Response, error) {
	for name, alias := range extensionNames {
		if alias == r.PathValue("alias") {
			return wire.JSON(wire.M{"extension": extensionView(name, alias)}), nil
		}
	}
	return nil, errNowhere
}
