package compute_test

import (
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/service/compute"
	"hearth/internal/service/compute/computetest"
	"hearth/internal/store"
)

// addHost makes a second host.
func addHost(b *computetest.Bench, name string) {
	b.Update(func(tx *store.Tx) error {
		return tx.Hosts.Put(cloud.Host{Name: name, ID: cloud.NewID(), AvailabilityZone: "nova", SeenAt: b.Clock.Now(),
			Seen: cloud.HostStatus{VCPUs: 4, MemoryMB: 8192, DiskGB: 100}})
	})
}

func TestAggregates(t *testing.T) {
	b := computetest.New(t)
	ctx := t.Context()
	addHost(b, "node-2")
	west, err := b.Compute.CreateAggregate(ctx, "west", "west")
	b.Must(err)
	east, err := b.Compute.CreateAggregate(ctx, "east", "")
	b.Must(err)
	if west.Number != 1 || east.Number != 2 || west.Zone() != "west" || east.Zone() != "" {
		t.Errorf("%+v %+v", west, east)
	}
	if _, err := b.Compute.CreateAggregate(ctx, "west", ""); !cloud.Is(err, cloud.Conflict) {
		t.Errorf("a name twice: %v", err)
	}
	_, err = b.Compute.AddAggregateHost(ctx, 1, "node-1")
	b.Must(err)
	_, err = b.Compute.AddAggregateHost(ctx, 2, "node-1")
	b.Must(err)
	name, zone := "", "east"
	for what, c := range map[string]struct {
		kind cloud.Kind
		do   func() error
	}{
		"a host twice":          {cloud.Conflict, func() error { _, err := b.Compute.AddAggregateHost(ctx, 1, "node-1"); return err }},
		"no such host":          {cloud.NotFound, func() error { _, err := b.Compute.AddAggregateHost(ctx, 1, "none"); return err }},
		"no such aggregate":     {cloud.NotFound, func() error { _, err := b.Compute.AddAggregateHost(ctx, 9, "node-1"); return err }},
		"a host that is not in": {cloud.NotFound, func() error { _, err := b.Compute.RemoveAggregateHost(ctx, 1, "node-2"); return err }},
		"hosts in it":           {cloud.Invalid, func() error { return b.Compute.DeleteAggregate(ctx, 1) }},
		"two zones of a host":   {cloud.Invalid, func() error { _, err := b.Compute.RenameAggregate(ctx, 2, name, &zone); return err }},
		"two zones by metadata": {cloud.Invalid, func() error {
			_, err := b.Compute.SetAggregateMetadata(ctx, 2, map[string]*string{"availability_zone": &zone})
			return err
		}},
		"no zone": {cloud.Invalid, func() error {
			_, err := b.Compute.SetAggregateMetadata(ctx, 1, map[string]*string{"availability_zone": nil})
			return err
		}},
	} {
		if err := c.do(); !cloud.Is(err, c.kind) {
			t.Errorf("%s: %v", what, err)
		}
	}
	zones, err := b.Compute.Zones(ctx)
	b.Must(err)
	if len(zones) != 2 || zones[0].Name != "nova" || zones[1].Name != "west" || zones[1].Hosts[0].Name != "node-1" {
		t.Errorf("%+v", zones)
	}
	r := computetest.Request()
	r.AvailabilityZone = "west"
	s := b.Create(computetest.Member(), r)
	b.Run(s.ID)
	d, err := b.Compute.Server(ctx, computetest.Member().Caller, s.ID)
	b.Must(err)
	if d.Zone != "west" {
		t.Errorf("the server is in %s", d.Zone)
	}
	other := "south"
	if _, err := b.Compute.RenameAggregate(ctx, 1, "", &other); !cloud.Is(err, cloud.Invalid) {
		t.Errorf("another zone under a server: %v", err)
	}
	r.AvailabilityZone = "north"
	if _, err := b.Compute.Create(ctx, computetest.Member(), r); !cloud.Is(err, cloud.Invalid) {
		t.Errorf("a zone that there is not: %v", err)
	}
	value := "x"
	_, err = b.Compute.SetAggregateMetadata(ctx, 2, map[string]*string{"k": &value})
	b.Must(err)
	east, err = b.Compute.SetAggregateMetadata(ctx, 2, map[string]*string{"k": nil})
	b.Must(err)
	if _, ok := east.Metadata["k"]; ok {
		t.Error("a key that was taken away is there")
	}
	_, err = b.Compute.RemoveAggregateHost(ctx, 2, "node-1")
	b.Must(err)
	b.Must(b.Compute.DeleteAggregate(ctx, 2))
	if next, err := b.Compute.CreateAggregate(ctx, "next", ""); err != nil || next.Number != 3 {
		t.Errorf("a number was given twice: %+v %v", next, err)
	}
}

func TestServerGroups(t *testing.T) {
	b := computetest.New(t)
	ctx, c := t.Context(), computetest.Member().Caller
	g, err := b.Compute.CreateServerGroup(ctx, c, cloud.ServerGroup{Name: "g", Policy: cloud.PolicyAntiAffinity})
	b.Must(err)
	r := computetest.Request()
	r.Hints = map[string][]string{"group": {g.ID}}
	first := b.Create(computetest.Member(), r)
	d, err := b.Compute.ServerGroup(ctx, c, g.ID)
	b.Must(err)
	if len(d.Members) != 1 || d.Members[0] != first.ID {
		t.Errorf("%v", d.Members)
	}
	if s, err := b.Compute.Server(ctx, c, first.ID); err != nil || s.ServerGroup != g.ID {
		t.Errorf("%v %v", s.ServerGroup, err)
	}
	_, err = b.Compute.SetQuota(ctx, computetest.Project, "", map[string]int{"server_group_members": 1, "server_groups": 1}, true)
	b.Must(err)
	if _, err := b.Compute.Create(ctx, computetest.Member(), r); !cloud.Is(err, cloud.QuotaExceeded) {
		t.Errorf("too many members: %v", err)
	}
	if _, err := b.Compute.CreateServerGroup(ctx, c, cloud.ServerGroup{Name: "h"}); !cloud.Is(err, cloud.QuotaExceeded) {
		t.Errorf("too many groups: %v", err)
	}
	stranger := computetest.Caller(computetest.Other, cloud.RoleMember, cloud.RoleReader)
	if _, err := b.Compute.ServerGroup(ctx, stranger, g.ID); !cloud.Is(err, cloud.NotFound) {
		t.Errorf("another project's: %v", err)
	}
	b.Must(b.Compute.DeleteServerGroup(ctx, c, g.ID))
	if s, err := b.Compute.Server(ctx, c, first.ID); err != nil || s.ServerGroup != "" {
		t.Errorf("after the group: %v %v", s.ServerGroup, err)
	}
	if _, err := b.Compute.Create(ctx, computetest.Member(), r); !cloud.Is(err, cloud.Invalid) {
		t.Errorf("a group that is gone: %v", err)
	}
}

func TestUserQuota(t *testing.T) {
	b := computetest.New(t)
	ctx, a := t.Context(), computetest.Member()
	_, err := b.Compute.SetQuota(ctx, computetest.Project, a.UserID, map[string]int{"instances": 1}, false)
	b.Must(err)
	if _, err := b.Compute.SetQuota(ctx, computetest.Project, a.UserID, map[string]int{"cores": 21}, false); !cloud.Is(err, cloud.Invalid) {
		t.Errorf("more than the project's: %v", err)
	}
	b.Create(a, computetest.Request())
	if _, err := b.Compute.Create(ctx, a, computetest.Request()); !cloud.Is(err, cloud.QuotaExceeded) {
		t.Errorf("over the user's quota: %v", err)
	}
	a.UserID = "another"
	b.Create(a, computetest.Request())
	_, used, err := b.Compute.Quota(ctx, a.Caller, computetest.Project, "another")
	b.Must(err)
	if used.Instances != 1 {
		t.Errorf("%+v", used)
	}
	b.Must(b.Compute.DeleteQuota(ctx, computetest.Project, ""))
	limits, _, err := b.Compute.Quota(ctx, a.Caller, computetest.Project, computetest.Member().UserID)
	b.Must(err)
	if limits["instances"] != 10 {
		t.Errorf("a user's quota outlived his project's: %v", limits)
	}
}

func TestUsage(t *testing.T) {
	b := computetest.New(t)
	start := b.Clock.Now()
	s := b.Create(computetest.Member(), computetest.Request())
	b.Create(computetest.Member(), computetest.Request()) // was never launched: it does not count
	b.Run(s.ID)
	b.Clock.Advance(2 * time.Hour)
	b.Update(func(tx *store.Tx) error {
		at := start.Add(time.Hour)
		return tx.PastServers.Put(cloud.PastServer{ID: cloud.NewID(), ProjectID: computetest.Project, LaunchedAt: &start, EndedAt: at})
	})
	f := compute.UsageFilter{Project: computetest.Project, Start: start.Add(30 * time.Minute), End: b.Clock.Now()}
	list, err := b.Compute.Usages(t.Context(), computetest.Member().Caller, f)
	b.Must(err)
	hours := map[string]float64{}
	for _, u := range list {
		hours[u.State] = u.Hours(f.Start, f.End)
	}
	if len(list) != 2 || hours["active"] != 1.5 || hours["terminated"] != 0.5 {
		t.Errorf("%+v %v", list, hours)
	}
	f.Start = start.Add(90 * time.Minute)
	if list, err := b.Compute.Usages(t.Context(), computetest.Member().Caller, f); err != nil || len(list) != 1 {
		t.Errorf("of the last half hour: %+v %v", list, err)
	}
	f.Project = computetest.Other
	if _, err := b.Compute.Usages(t.Context(), computetest.Member().Caller, f); !cloud.Is(err, cloud.Forbidden) {
		t.Errorf("another project's: %v", err)
	}
}
