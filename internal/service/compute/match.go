package compute

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// sortable writes a moment so that texts sort as moments do.
func sortable(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000") }

// attributes are what servers can be filtered and sorted by, by the names of
// nova's columns and API.
var attributes = map[string]func(*cloud.Server) string{
	"uuid":                func(v *cloud.Server) string { return v.ID },
	"name":                func(v *cloud.Server) string { return v.Name },
	"display_name":        func(v *cloud.Server) string { return v.Name },
	"description":         func(v *cloud.Server) string { return v.Description },
	"display_description": func(v *cloud.Server) string { return v.Description },
	"project_id":          func(v *cloud.Server) string { return v.ProjectID },
	"tenant_id":           func(v *cloud.Server) string { return v.ProjectID },
	"user_id":             func(v *cloud.Server) string { return v.UserID },
	"hostname":            func(v *cloud.Server) string { return v.Hostname },
	"host":                func(v *cloud.Server) string { return v.Node },
	"node":                func(v *cloud.Server) string { return v.Node },
	"image":               func(v *cloud.Server) string { return v.ImageID },
	"image_ref":           func(v *cloud.Server) string { return v.ImageID },
	"flavor":              func(v *cloud.Server) string { return v.Flavor.ID },
	"instance_type_id":    func(v *cloud.Server) string { return v.Flavor.ID },
	"kernel_id":           func(v *cloud.Server) string { return imageID(v.Kernel) },
	"ramdisk_id":          func(v *cloud.Server) string { return imageID(v.Ramdisk) },
	"key_name":            func(v *cloud.Server) string { return v.KeyName() },
	"vm_state":            func(v *cloud.Server) string { return v.VMState() },
	"task_state":          func(v *cloud.Server) string { return v.TaskState() },
	"power_state":         func(v *cloud.Server) string { return strconv.Itoa(v.PowerState()) },
	"progress":            func(v *cloud.Server) string { return strconv.Itoa(v.Progress()) },
	"availability_zone":   func(v *cloud.Server) string { return v.AvailabilityZone },
	"config_drive":        func(v *cloud.Server) string { return flag(v.ConfigDrive) },
	"auto_disk_config":    func(v *cloud.Server) string { return v.DiskConfig },
	"reservation_id":      func(v *cloud.Server) string { return v.ReservationID },
	"launch_index":        func(v *cloud.Server) string { return fmt.Sprintf("%04d", v.LaunchIndex) },
	"access_ip_v4":        func(v *cloud.Server) string { return v.AccessIPv4 },
	"access_ip_v6":        func(v *cloud.Server) string { return v.AccessIPv6 },
	"locked":              func(v *cloud.Server) string { return flag(v.Locked) },
	"locked_by":           func(v *cloud.Server) string { return flag(v.Locked) },
	"root_device_name":    func(*cloud.Server) string { return RootDevice },
	"created_at":          func(v *cloud.Server) string { return sortable(v.CreatedAt) },
	"updated_at":          func(v *cloud.Server) string { return sortable(v.UpdatedAt) },
	"launched_at":         func(v *cloud.Server) string { return sortableOrNone(v.LaunchedAt) },
	"terminated_at":       func(v *cloud.Server) string { return sortableOrNone(v.DeletedAt) },
}

// RootDevice is where guests find their root disk.
const RootDevice = "/dev/vda"

func imageID(r *cloud.ImageRef) string {
	if r == nil {
		return ""
	}
	return r.ID
}

func flag(b bool) string {
	if b {
		return "True"
	}
	return ""
}

func sortableOrNone(t *time.Time) string {
	if t == nil {
		return ""
	}
	return sortable(*t)
}

// matcher makes the test of the filters that are looked up in a server itself;
// nil for none.
func (f Filter) matcher(op string) (func(*cloud.Server) bool, error) {
	var tests []func(*cloud.Server) bool
	for name, want := range f.Exact {
		attr, ok := attributes[name]
		if !ok {
			return nil, cloud.E(op, cloud.Invalid, "Invalid filter field: %s.", name)
		}
		tests = append(tests, func(v *cloud.Server) bool { return attr(v) == want })
	}
	for name, pattern := range f.Pattern {
		attr, ok := attributes[name]
		re, err := compile(op, name, pattern)
		if !ok {
			err = cloud.E(op, cloud.Invalid, "Invalid filter field: %s.", name)
		}
		if err != nil {
			return nil, err
		}
		tests = append(tests, func(v *cloud.Server) bool { return re.MatchString(attr(v)) })
	}
	tests = append(tests, f.states()...)
	tests = append(tests, f.tags()...)
	if f.Locked != nil {
		tests = append(tests, func(v *cloud.Server) bool { return v.Locked == *f.Locked })
	}
	if len(tests) == 0 {
		return nil, nil
	}
	return func(v *cloud.Server) bool {
		return !slices.ContainsFunc(tests, func(t func(*cloud.Server) bool) bool { return !t(v) })
	}, nil
}

// compile reads a filter's regular expression. Go's take time linear in the
// text, so a user's can do no harm.
func compile(op, name, pattern string) (*regexp.Regexp, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, cloud.E(op, cloud.Invalid, "Invalid input for query parameters %s. Value: %s. '%s' is not a 'regex'", name, pattern, pattern)
	}
	return re, nil
}

func (f Filter) states() (tests []func(*cloud.Server) bool) {
	if f.Statuses != nil {
		tests = append(tests, func(v *cloud.Server) bool {
			return slices.ContainsFunc(f.Statuses, func(s string) bool { return strings.EqualFold(s, v.Status()) })
		})
	}
	if f.VMStates != nil {
		tests = append(tests, func(v *cloud.Server) bool { return slices.Contains(f.VMStates, v.VMState()) })
	}
	return tests
}

func (f Filter) tags() (tests []func(*cloud.Server) bool) {
	has := func(v *cloud.Server) func(string) bool {
		return func(tag string) bool { return slices.Contains(v.Tags, tag) }
	}
	all := func(v *cloud.Server, tags []string) bool {
		return !slices.ContainsFunc(tags, func(t string) bool { return !has(v)(t) })
	}
	if f.Tags != nil {
		tests = append(tests, func(v *cloud.Server) bool { return all(v, f.Tags) })
	}
	if f.TagsAny != nil {
		tests = append(tests, func(v *cloud.Server) bool { return slices.ContainsFunc(f.TagsAny, has(v)) })
	}
	if f.NotTags != nil {
		tests = append(tests, func(v *cloud.Server) bool { return !all(v, f.NotTags) })
	}
	if f.NotTagsAny != nil {
		tests = append(tests, func(v *cloud.Server) bool { return !slices.ContainsFunc(f.NotTagsAny, has(v)) })
	}
	return tests
}

// matchAddresses keeps the servers with a fixed address that matches.
func (s *Service) matchAddresses(tx *store.Tx, op string, f Filter, servers []*cloud.Server) ([]*cloud.Server, error) {
	if f.IP == "" && f.IP6 == "" || len(servers) == 0 {
		return servers, nil
	}
	v4, err := compile(op, "ip", f.IP)
	if err != nil {
		return nil, err
	}
	v6, err := compile(op, "ip6", f.IP6)
	if err != nil {
		return nil, err
	}
	details, err := s.detailsTx(tx, servers)
	if err != nil {
		return nil, err
	}
	out := servers[:0]
	for i, d := range details {
		is := func(want string, re *regexp.Regexp, family func(netip.Addr) bool) bool {
			return want == "" || d.hasAddress(func(ip netip.Addr) bool { return family(ip) && re.MatchString(ip.String()) })
		}
		if is(f.IP, v4, netip.Addr.Is4) && is(f.IP6, v6, netip.Addr.Is6) {
			out = append(out, servers[i])
		}
	}
	return out, nil
}

// hasAddress tells whether one of the server's fixed addresses passes.
func (d Detail) hasAddress(pass func(netip.Addr) bool) bool {
	for _, p := range d.Ports {
		for _, a := range p.FixedIPs {
			if pass(a.IP) {
				return true
			}
		}
	}
	return false
}
