package nova

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/compute"
)

// exactFilters are looked up by equality, patternFilters as regular expressions
// (nova/db/main/api.py, instance_get_all_by_filters_sort).
var (
	exactFilters   = []string{"user_id", "image_ref", "image", "vm_state", "task_state", "host", "uuid", "flavor"}
	patternFilters = []string{"name", "display_name", "description", "display_description", "hostname", "key_name", "power_state",
		"node", "reservation_id", "launched_at", "terminated_at", "availability_zone", "config_drive", "kernel_id", "ramdisk_id",
		"access_ip_v4", "access_ip_v6", "auto_disk_config", "progress", "root_device_name", "created_at", "launch_index", "locked_by"}
	otherFilters = []string{"project_id", "tenant_id", "all_tenants", "deleted", "soft_deleted", "status", "changes-since", "ip", "ip6",
		"sort_key", "sort_dir", "limit", "marker"}
	joined = []string{"block_device_mapping", "services", "metadata", "system_metadata", "info_cache", "security_groups", "pci_devices"}
)

// memberFilters are what others than admins may filter by; what else they send
// does not count, as in nova.
func memberFilters(r *wire.Request) []string {
	names := []string{"reservation_id", "name", "status", "image", "flavor", "ip", "changes-since", "all_tenants"}
	for _, f := range []struct {
		since int
		names []string
	}{
		{5, []string{"ip6"}}, {26, []string{"tags", "tags-any", "not-tags", "not-tags-any"}}, {66, []string{"changes-before"}},
		{73, []string{"locked"}}, {90, []string{"hostname"}},
		{83, []string{"availability_zone", "config_drive", "key_name", "created_at", "launched_at", "terminated_at", "power_state",
			"task_state", "vm_state", "progress", "user_id"}},
	} {
		if r.Version.AtLeast(f.since) {
			names = append(names, f.names...)
		}
	}
	return names
}

// serverFilter reads the query of a list. none is that nothing can be found.
func serverFilter(r *wire.Request) (f compute.Filter, none bool, err error) {
	q := r.URL.Query()
	if err := checkNames(r, q); err != nil {
		return f, false, err
	}
	if !r.Caller.IsAdmin() {
		q = only(q, append(memberFilters(r), "sort_key", "sort_dir", "limit", "marker"))
	}
	if f.Limit, f.Marker, err = page(r); err != nil {
		return f, false, err
	}
	none = f.Limit == 0
	f.Exact, f.Pattern = map[string]string{}, map[string]string{}
	for _, name := range exactFilters {
		if q.Has(name) {
			f.Exact[name] = q.Get(name)
		}
	}
	for _, name := range patternFilters {
		if q.Has(name) {
			f.Pattern[name] = q.Get(name)
		}
	}
	f.IP, f.IP6 = q.Get("ip"), q.Get("ip6")
	filterDeleted(r, q, &f)
	if err := wire.First(filterScope(r, q, &f), filterTimes(r, q, &f), filterTags(r, q, &f), filterSort(r, q, &f)); err != nil {
		return f, false, err
	}
	bad, err := filterStatus(r, q, &f)
	return f, none || bad, err
}

// checkNames refuses what nova refuses to filter by, and from 2.75 on what it
// does not know.
func checkNames(r *wire.Request, q url.Values) error {
	for name := range q {
		if slices.Contains(joined, name) || strings.HasPrefix(name, "_") {
			return cloud.E("nova.servers", cloud.Invalid, "Invalid filter field: %s.", name)
		}
	}
	return strict(r, slices.Concat(exactFilters, patternFilters, otherFilters,
		[]string{"tags", "tags-any", "not-tags", "not-tags-any", "changes-before", "locked"})...)
}

func only(q url.Values, names []string) url.Values {
	out := url.Values{}
	for name, v := range q {
		if slices.Contains(names, name) {
			out[name] = v
		}
	}
	return out
}

// filterScope reads whose servers. all_tenants is an admin's; without it the
// project is the caller's own.
func filterScope(r *wire.Request, q url.Values, f *compute.Filter) error {
	if q.Has("all_tenants") && q.Get("all_tenants") != "" {
		all, err := wire.ParseBool("all_tenants", q.Get("all_tenants"))
		if err != nil {
			return err
		}
		f.AllProjects = all
	} else {
		f.AllProjects = q.Has("all_tenants")
	}
	if f.AllProjects && !r.Caller.IsAdmin() {
		return wire.Denied("os_compute_api:servers:index:get_all_tenants")
	}
	if f.ProjectID = q.Get("project_id"); f.ProjectID == "" {
		f.ProjectID = q.Get("tenant_id")
	}
	return nil
}

// filterDeleted says what of the trash and of what is gone is wanted
// (nova/api/openstack/compute/servers.py, _get_servers, and nova/db/main/api.py,
// instance_get_all_by_filters_sort): deleted, an admin's, is both; who asks what has
// changed gets all. Who asks for the trash by its status gets it: in nova that finds
// nothing without deleted.
func filterDeleted(r *wire.Request, q url.Values, f *compute.Filter) {
	yes := func(name string, unsaid bool) bool {
		b, err := wire.ParseBool(name, q.Get(name))
		if !q.Has(name) || err != nil {
			return unsaid
		}
		return b
	}
	switch changes := q.Has("changes-since") || q.Has("changes-before") && r.Version.AtLeast(66); {
	case yes("deleted", false) && !yes("soft_deleted", true):
		f.Kinds = compute.KindGone
	case yes("deleted", false):
		f.Kinds = compute.KindGone | compute.KindTrash
	case changes && !q.Has("deleted"):
		f.Kinds = compute.KindAll
	case yes("soft_deleted", false), q.Get("vm_state") == cloud.VMTrashed,
		slices.ContainsFunc(q["status"], func(s string) bool { return strings.EqualFold(s, cloud.StatusTrashed) }):
		f.Kinds = compute.KindLive | compute.KindTrash
	}
}

// filterStatus reads the statuses. One that nova does not know finds nothing, or
// from 2.38 on is refused; DELETED alone is what is gone, and an admin's.
func filterStatus(r *wire.Request, q url.Values, f *compute.Filter) (none bool, err error) {
	if !q.Has("status") {
		return false, nil
	}
	f.Statuses = slices.DeleteFunc(slices.Clone(q["status"]), func(s string) bool { return !knownStatus(s) })
	switch {
	case len(f.Statuses) == 0 && r.Version.AtLeast(38):
		return false, cloud.E("nova.servers", cloud.Invalid, "Invalid status value")
	case len(f.Statuses) == 0:
		return true, nil
	case slices.ContainsFunc(f.Statuses, func(s string) bool { return !strings.EqualFold(s, cloud.StatusGone) }):
		return false, nil
	case !r.Caller.IsAdmin():
		return false, cloud.E("nova.servers", cloud.Forbidden, "Only administrators may list deleted instances")
	}
	f.Kinds, f.Statuses = compute.KindGone, nil // no other has that status
	return false, nil
}

// timeForms are the ways to write a moment that clients use.
var timeForms = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999", "2006-01-02 15:04:05", "2006-01-02"}

func parseTime(name, text string) (time.Time, error) {
	text = strings.Replace(text, " ", "+", strings.Count(text, "T")) // "+" of a zone that was not escaped
	for _, form := range timeForms {
		if t, err := time.Parse(form, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, cloud.E("nova.servers", cloud.Invalid, "Invalid input for query parameters %s. Value: %s. '%s' is not a 'date-time'", name, text, text)
}

func filterTimes(r *wire.Request, q url.Values, f *compute.Filter) (err error) {
	if q.Has("changes-since") {
		if f.ChangesSince, err = parseTime("changes-since", q.Get("changes-since")); err != nil {
			return err
		}
	}
	if q.Has("changes-before") && r.Version.AtLeast(66) {
		if f.ChangesBefore, err = parseTime("changes-before", q.Get("changes-before")); err != nil {
			return err
		}
		if f.ChangesBefore.Before(f.ChangesSince) {
			return cloud.E("nova.servers", cloud.Invalid, "The value of changes-since must be less than or equal to changes-before.")
		}
		// Nova keeps whole seconds: with one that it shows, all of that second is meant.
		f.ChangesBefore = f.ChangesBefore.Truncate(time.Second).Add(time.Second - time.Nanosecond)
	}
	return nil
}

// filterTags reads the tags, from 2.26 on, and the lock, from 2.73 on.
func filterTags(r *wire.Request, q url.Values, f *compute.Filter) error {
	for name, to := range map[string]*[]string{"tags": &f.Tags, "tags-any": &f.TagsAny, "not-tags": &f.NotTags, "not-tags-any": &f.NotTagsAny} {
		if r.Version.AtLeast(26) && q.Has(name) {
			*to = strings.Split(q.Get(name), ",")
		}
	}
	if r.Version.AtLeast(73) && q.Has("locked") {
		b, err := wire.ParseBool("locked", q.Get("locked"))
		if err != nil {
			return err
		}
		f.Locked = &b
	}
	return nil
}

// sortNames are the keys that lists can be sorted by; quietNames were keys in
// nova once: until 2.74 they are passed over.
var (
	sortNames = []string{"access_ip_v4", "access_ip_v6", "auto_disk_config", "availability_zone", "config_drive", "created_at",
		"display_description", "display_name", "host", "hostname", "image_ref", "instance_type_id", "kernel_id", "key_name",
		"launch_index", "launched_at", "locked_by", "node", "power_state", "progress", "project_id", "ramdisk_id",
		"root_device_name", "task_state", "terminated_at", "updated_at", "user_id", "uuid", "vm_state"}
	quietNames = []string{"architecture", "cell_name", "cleaned", "default_ephemeral_device", "default_swap_device", "deleted",
		"deleted_at", "disable_terminate", "ephemeral_gb", "ephemeral_key_uuid", "id", "key_data", "launched_on", "locked",
		"memory_mb", "os_type", "reservation_id", "root_gb", "shutdown_terminate", "user_data", "vcpus", "vm_mode"}
)

func filterSort(r *wire.Request, q url.Values, f *compute.Filter) error {
	p, err := wire.ParsePage(q, MaxLimit)
	if err != nil {
		return err
	}
	for _, k := range p.Sort {
		switch {
		case slices.Contains(sortNames, k.Key), k.Key == "locked" && r.Version.AtLeast(73):
		case slices.Contains(quietNames, k.Key) && !r.Version.AtLeast(75):
			continue
		default:
			return cloud.E("nova.servers", cloud.Invalid, "Invalid input for query parameters sort_key. Value: %s. '%s' is not one of %v", k.Key, k.Key, sortNames)
		}
		if (k.Key == "host" || k.Key == "node") && !r.Caller.IsAdmin() {
			return cloud.E("nova.servers", cloud.Forbidden, "Only administrators can sort servers by %s", k.Key)
		}
		f.Sort = append(f.Sort, compute.SortKey{Name: k.Key, Desc: k.Desc})
	}
	return nil
}
