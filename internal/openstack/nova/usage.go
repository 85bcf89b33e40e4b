package nova

import (
	"strings"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/compute"
)

func (a *api) usageRoutes() []wire.Route {
	return []wire.Route{
		route("GET", "/os-simple-tenant-usage", wire.Admin, "os-simple-tenant-usage:list", a.listUsage),
		route("GET", "/os-simple-tenant-usage/{id}", wire.Reader, "os-simple-tenant-usage:show", a.showUsage),
		route("GET", "/os-instance_usage_audit_log", wire.Admin, "os-instance-usage-audit-log:list", a.listAudits),
		route("GET", "/os-instance_usage_audit_log/{id}", wire.Admin, "os-instance-usage-audit-log:show", a.showAudit),
	}
}

// usageTimes are the ways to write a moment in the report of usage.
var usageTimes = []string{"2006-01-02T15:04:05", "2006-01-02T15:04:05.999999", "2006-01-02 15:04:05.999999"}

func usageTime(text string, otherwise time.Time) (time.Time, error) {
	if text == "" {
		return otherwise, nil
	}
	for _, form := range usageTimes {
		if t, err := time.Parse(form, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, cloud.E("nova.usage", cloud.Invalid, "Invalid datetime string: Datetime is in invalid format")
}

// usageFilter reads the query of a report.
func (a *api) usageFilter(r *wire.Request, project string) (f compute.UsageFilter, err error) {
	const op = "nova.usage"
	q, now := r.URL.Query(), a.svc.Now()
	f = compute.UsageFilter{Project: project, Limit: MaxLimit}
	if f.Start, err = usageTime(q.Get("start"), now); err != nil {
		return f, err
	}
	if f.End, err = usageTime(q.Get("end"), now.Add(time.Microsecond)); err != nil {
		return f, err
	}
	if !f.Start.Before(f.End) {
		return f, cloud.E(op, cloud.Invalid, "Invalid start time. The start time cannot occur after the end time.")
	}
	if f.End.After(now) {
		f.End = now
	}
	if r.Version.AtLeast(40) {
		if f.Limit, f.Marker, err = page(r); err != nil {
			return f, err
		}
	}
	return f, strict(r, "start", "end", "detailed", "limit", "marker")
}

// usageSum is a project's part of a report.
type usageSum struct {
	Project string    `json:"tenant_id"`
	Hours   float64   `json:"total_hours"`
	Disk    float64   `json:"total_local_gb_usage"`
	Memory  float64   `json:"total_memory_mb_usage"`
	VCPUs   float64   `json:"total_vcpus_usage"`
	Start   string    `json:"start"`
	Stop    string    `json:"stop"`
	Servers *[]wire.M `json:"server_usages,omitempty"`
}

// sums adds the servers up by project.
func (a *api) sums(f compute.UsageFilter, list []compute.ServerUsage, detailed bool) []*usageSum {
	out := []*usageSum{}
	for _, u := range list {
		if len(out) == 0 || out[len(out)-1].Project != u.ProjectID {
			s := &usageSum{Project: u.ProjectID, Start: stampMicro(f.Start), Stop: stampMicro(f.End)}
			if detailed {
				s.Servers = &[]wire.M{}
			}
			out = append(out, s)
		}
		s, hours, gb := out[len(out)-1], u.Hours(f.Start, f.End), u.Flavor.RootGB+u.Flavor.EphemeralGB
		s.Hours += hours
		s.Disk += hours * float64(gb)
		s.Memory += hours * float64(u.Flavor.MemoryMB)
		s.VCPUs += hours * float64(u.Flavor.VCPUs)
		if detailed {
			*s.Servers = append(*s.Servers, wire.M{
				"instance_id": u.ID, "name": u.Name, "tenant_id": u.ProjectID, "flavor": u.Flavor.Name, "hours": hours, "local_gb": gb,
				"memory_mb": u.Flavor.MemoryMB, "vcpus": u.Flavor.VCPUs, "started_at": stampMicro(u.StartedAt), "ended_at": microOrNull(u.EndedAt),
				"state": u.State, "uptime": int(u.Uptime(a.svc.Now()).Seconds()),
			})
		}
	}
	return out
}

// report reads a page of usage; more is the link to the next, or nil.
func (a *api) report(r *wire.Request, project string, detailed bool) (sums []*usageSum, more []link, err error) {
	f, err := a.usageFilter(r, project)
	if err != nil {
		return nil, nil, err
	}
	if f.Limit == 0 {
		return []*usageSum{}, nil, nil
	}
	list, err := a.svc.Usages(r.Context(), r.Caller, f)
	if err == nil && r.Version.AtLeast(40) && len(list) == f.Limit {
		more = nextLinks(r, list[len(list)-1].ID)
	}
	return a.sums(f, list, detailed), more, err
}

func (a *api) listUsage(r *wire.Request) (*wire.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/") { // a project that was left out is not all projects
		return nil, cloud.E("nova.listUsage", cloud.NotFound, "The resource could not be found.")
	}
	sums, more, err := a.report(r, "", r.URL.Query().Get("detailed") == "1")
	body := wire.M{"tenant_usages": sums}
	if more != nil {
		body["tenant_usages_links"] = more
	}
	return wire.JSON(body), err
}

func (a *api) showUsage(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("id")
	if !r.Caller.Owns(id) {
		return nil, wire.Denied("os_compute_api:os-simple-tenant-usage:show")
	}
	sums, more, err := a.report(r, id, true)
	body := wire.M{"tenant_usage": wire.M{}}
	if len(sums) > 0 {
		body["tenant_usage"] = sums[0]
	}
	if more != nil {
		body["tenant_usage_links"] = more
	}
	return wire.JSON(body), err
}

func (a *api) listAudits(r *wire.Request) (*wire.Response, error) {
	log, err := a.audit(r, a.svc.Now())
	return wire.JSON(wire.M{"instance_usage_audit_logs": log}), err
}

func (a *api) showAudit(r *wire.Request) (*wire.Response, error) {
	text := r.PathValue("id")
	before, err := time.Parse("2006-01-02 15:04:05.999999", text)
	if err != nil {
		return nil, cloud.E("nova.showAudit", cloud.Invalid, "Invalid timestamp for date %s", text)
	}
	log, err := a.audit(r, before)
	return wire.JSON(wire.M{"instance_usage_audit_log": log}), err
}

// audit says of the month before a moment that no host has run an audit: usage is
// computed from the servers when it is asked for, there is nothing to run (nova's
// answer with instance_usage_audit off).
func (a *api) audit(r *wire.Request, before time.Time) (wire.M, error) {
	hosts, err := a.svc.Hosts(r.Context())
	names := make([]string, len(hosts))
	for i, h := range hosts {
		names[i] = h.Name
	}
	end := time.Date(before.Year(), before.Month(), 1, 0, 0, 0, 0, time.UTC)
	if !end.Before(before) {
		end = end.AddDate(0, -1, 0)
	}
	const form = "2006-01-02 15:04:05"
	status := "ALL hosts done. 0 errors."
	if len(hosts) > 0 {
		status = "0 of " + numberOrText(len(hosts)) + " hosts done. 0 errors."
	}
	return wire.M{
		"period_beginning": end.AddDate(0, -1, 0).Format(form), "period_ending": end.Format(form), "num_hosts": len(hosts), "num_hosts_done": 0,
		"num_hosts_running": 0, "num_hosts_not_run": len(hosts), "hosts_not_run": names, "total_instances": 0, "total_errors": 0,
		"overall_status": status, "log": wire.M{},
	}, err
}
