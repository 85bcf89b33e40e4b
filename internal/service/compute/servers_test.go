package compute_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/service/compute"
	"hearth/internal/service/compute/computetest"
	"hearth/internal/store"
)

// TestPower goes through what owners do to a running server, and asserts what is
// wanted afterwards.
func TestPower(t *testing.T) {
	b := computetest.New(t)
	a := computetest.Member()
	s := b.Create(a, computetest.Request())
	ctx := t.Context()
	do := map[string]func() error{
		"start": func() error { return b.Compute.Start(ctx, a, s.ID) },
		"stop":  func() error { return b.Compute.Stop(ctx, a, s.ID) },
		"soft":  func() error { return b.Compute.Reboot(ctx, a, s.ID, false) },
		"hard":  func() error { return b.Compute.Reboot(ctx, a, s.ID, true) },
	}
	for _, c := range []struct {
		what   string
		run    bool // let the node carry it out
		refuse string
		intent cloud.Intent
		status string
	}{
		{"stop", false, "task_state scheduling", cloud.Intent{Generation: 1, Power: cloud.PowerOn}, "BUILD"},
		{"", true, "", cloud.Intent{Generation: 1, Power: cloud.PowerOn}, "ACTIVE"},
		{"start", false, "vm_state active", cloud.Intent{Generation: 1, Power: cloud.PowerOn}, "ACTIVE"},
		{"soft", false, "", cloud.Intent{Generation: 2, Power: cloud.PowerOn, Reboots: 1}, "REBOOT"},
		{"soft", false, "task_state rebooting", cloud.Intent{Generation: 2, Power: cloud.PowerOn, Reboots: 1}, "REBOOT"},
		{"hard", true, "", cloud.Intent{Generation: 3, Power: cloud.PowerOn, Reboots: 2, HardReboot: true}, "ACTIVE"},
		{"stop", false, "", cloud.Intent{Generation: 4, Power: cloud.PowerOff, Reboots: 2, HardReboot: true}, "ACTIVE"},
		{"start", true, "task_state powering-off", cloud.Intent{Generation: 4, Power: cloud.PowerOff, Reboots: 2, HardReboot: true}, "SHUTOFF"},
		{"soft", false, "vm_state stopped", cloud.Intent{Generation: 4, Power: cloud.PowerOff, Reboots: 2, HardReboot: true}, "SHUTOFF"},
		{"start", true, "", cloud.Intent{Generation: 5, Power: cloud.PowerOn, Reboots: 2, HardReboot: true}, "ACTIVE"},
	} {
		if c.what != "" {
			err := do[c.what]()
			if c.refuse == "" && err != nil || c.refuse != "" && (!cloud.Is(err, cloud.Conflict) || !strings.Contains(cloud.Message(err), c.refuse)) {
				t.Fatalf("%s: %v, want %q", c.what, err, c.refuse)
			}
			if v := b.Server(s.ID); c.refuse == "" && !v.NextAttemptAt.Equal(b.Clock.Now()) {
				t.Errorf("%s: due at %s, not now", c.what, v.NextAttemptAt)
			}
		}
		if c.run {
			b.Run(s.ID)
		}
		if got := b.Server(s.ID); got.Intent != c.intent || got.Status() != c.status {
			t.Fatalf("after %q: %+v %s, want %+v %s", c.what, got.Intent, got.Status(), c.intent, c.status)
		}
	}
	acts, err := b.Compute.Actions(ctx, a.Caller, s.ID, false)
	b.Must(err)
	if len(acts) != 5 { // create, reboot, reboot, stop, start: what was refused is not there
		t.Errorf("history: %+v", acts)
	}
}

func TestDelete(t *testing.T) {
	b := computetest.New(t)
	a := computetest.Member()
	s := b.Create(a, computetest.Request())
	stranger := compute.Actor{Caller: computetest.Caller(computetest.Other, cloud.RoleMember)}
	if err := b.Compute.DeleteServer(t.Context(), stranger, s.ID); !cloud.Is(err, cloud.NotFound) {
		t.Errorf("a stranger deletes: %v", err)
	}
	b.Must(b.Compute.Lock(t.Context(), a, s.ID, "mine"))
	if err := b.Compute.DeleteServer(t.Context(), a, s.ID); !cloud.Is(err, cloud.Conflict) || !strings.Contains(err.Error(), "is locked") {
		t.Errorf("delete of a locked server: %v", err)
	}
	b.Must(b.Compute.Unlock(t.Context(), a, s.ID))
	for range 2 { // a second time changes nothing
		b.Must(b.Compute.DeleteServer(t.Context(), a, s.ID))
		got := b.Server(s.ID)
		if got.Intent != (cloud.Intent{Generation: 2, Power: cloud.PowerOn, Deleted: true}) || !got.NextAttemptAt.Equal(b.Clock.Now()) || got.TaskState() != cloud.TaskDeleting {
			t.Errorf("%+v", got.Intent)
		}
	}
	if c := b.Counts(); c.Servers != 1 || c.Ports != 1 {
		t.Errorf("rows and ports are the housekeeper's to remove: %+v", c)
	}
}

func TestHistoryOutlivesServer(t *testing.T) {
	b := computetest.New(t)
	a := computetest.Member()
	s := b.Create(a, computetest.Request())
	b.Update(func(tx *store.Tx) error { return tx.Servers.Delete(s.ID) })
	other := computetest.Caller(computetest.Other, cloud.RoleMember)
	for _, c := range []struct {
		name    string
		caller  cloud.Caller
		deleted bool
		want    int
	}{{"before 2.21", a.Caller, false, 0}, {"from 2.21 on", a.Caller, true, 1}, {"another project's", other, true, 0}} {
		list, err := b.Compute.Actions(t.Context(), c.caller, s.ID, c.deleted)
		if len(list) != c.want || (c.want == 0) != cloud.Is(err, cloud.NotFound) {
			t.Errorf("%s: %d, %v", c.name, len(list), err)
		}
	}
}

func TestLockHoldsOff(t *testing.T) {
	b := computetest.New(t)
	a := computetest.Member()
	s := b.Create(a, computetest.Request())
	b.Run(s.ID)
	b.Must(b.Compute.Lock(t.Context(), a, s.ID, "why"))
	for name, err := range map[string]error{
		"stop": b.Compute.Stop(t.Context(), a, s.ID), "metadata": func() error {
			_, err := b.Compute.SetMetadata(t.Context(), a, s.ID, map[string]string{"a": "b"}, false)
			return err
		}(),
	} {
		if !cloud.Is(err, cloud.Conflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b.Must(b.Compute.Stop(t.Context(), computetest.Admin(), s.ID))
}

func TestListPagesAndFilters(t *testing.T) {
	b := computetest.New(t)
	a := computetest.Member()
	var ids []string
	for _, name := range []string{"web-1", "web-2", "db-1"} {
		b.Clock.Advance(time.Second)
		r := computetest.Request()
		r.Name, r.Tags = name, []string{name[:2], "all"}
		if name == "db-1" {
			r.FlavorID = "42"
		}
		s := b.Create(a, r)
		ids = append(ids, s.ID)
	}
	b.Run(ids[0])
	locked := true
	b.Must(b.Compute.Lock(t.Context(), a, ids[1], ""))
	address := func(id string) string {
		d, _ := b.Compute.Server(t.Context(), a.Caller, id)
		return d.Ports[0].FixedIPs[0].IP.String()
	}
	for _, c := range []struct {
		name   string
		caller cloud.Caller
		f      compute.Filter
		want   []int
		more   bool
	}{
		{"newest first", a.Caller, compute.Filter{}, []int{2, 1, 0}, false},
		{"another project", computetest.Caller(computetest.Other, cloud.RoleReader), compute.Filter{}, nil, false},
		{"all projects", computetest.Caller(computetest.Other, cloud.RoleAdmin), compute.Filter{AllProjects: true}, []int{2, 1, 0}, false},
		{"of a project", computetest.Caller(computetest.Other, cloud.RoleAdmin), compute.Filter{AllProjects: true, ProjectID: computetest.Other}, nil, false},
		{"page", a.Caller, compute.Filter{Limit: 2}, []int{2, 1}, true},
		{"next page", a.Caller, compute.Filter{Limit: 2, Marker: ids[1]}, []int{0}, false},
		{"by name", a.Caller, compute.Filter{Sort: []compute.SortKey{{Name: "display_name"}}}, []int{2, 0, 1}, false},
		{"by key, then page", a.Caller, compute.Filter{Sort: []compute.SortKey{{Name: "vm_state"}, {Name: "display_name", Desc: true}}, Limit: 1, Marker: ids[0]}, []int{1}, true},
		{"name pattern", a.Caller, compute.Filter{Pattern: map[string]string{"name": "^web"}}, []int{1, 0}, false},
		{"name pattern, page", a.Caller, compute.Filter{Pattern: map[string]string{"name": "^web"}, Limit: 1}, []int{1}, true},
		{"flavor", a.Caller, compute.Filter{Exact: map[string]string{"flavor": "42"}}, []int{2}, false},
		{"status", a.Caller, compute.Filter{Statuses: []string{"active"}}, []int{0}, false},
		{"tags", a.Caller, compute.Filter{Tags: []string{"we", "all"}}, []int{1, 0}, false},
		{"tags any", a.Caller, compute.Filter{TagsAny: []string{"db", "no"}}, []int{2}, false},
		{"not tags", a.Caller, compute.Filter{NotTags: []string{"we", "all"}}, []int{2}, false},
		{"not tags any", a.Caller, compute.Filter{NotTagsAny: []string{"db", "no"}}, []int{1, 0}, false},
		{"locked", a.Caller, compute.Filter{Locked: &locked}, []int{1}, false},
		{"address", a.Caller, compute.Filter{IP: "^" + strings.ReplaceAll(address(ids[2]), ".", `\.`) + "$"}, []int{2}, false},
		{"changed since", a.Caller, compute.Filter{ChangesSince: b.Clock.Now()}, []int{2, 1}, false},
	} {
		p, err := b.Compute.Servers(t.Context(), c.caller, c.f, false)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var got []int
		for _, d := range p.Servers {
			got = append(got, slices.Index(ids, d.ID))
		}
		if !slices.Equal(got, c.want) || p.More != c.more {
			t.Errorf("%s: %v, more %v; want %v, %v", c.name, got, p.More, c.want, c.more)
		}
	}
	for name, f := range map[string]compute.Filter{
		"no marker": {Marker: "x"}, "no marker with a filter": {Marker: "x", Statuses: []string{"ACTIVE"}},
		"bad pattern": {Pattern: map[string]string{"name": "("}}, "no attribute": {Exact: map[string]string{"colour": "red"}},
	} {
		if _, err := b.Compute.Servers(t.Context(), a.Caller, f, false); !cloud.Is(err, cloud.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGroupsOfPorts(t *testing.T) {
	b := computetest.New(t)
	a := computetest.Member()
	s := b.Create(a, computetest.Request())
	b.Update(func(tx *store.Tx) error {
		return tx.SecurityGroups.Put(cloud.SecurityGroup{ID: cloud.NewID(), Name: "web", ProjectID: computetest.Project})
	})
	groups := func() []string {
		d, err := b.Compute.Server(t.Context(), a.Caller, s.ID)
		b.Must(err)
		return d.Groups
	}
	b.Must(b.Compute.AddGroup(t.Context(), a, s.ID, "web"))
	if got := groups(); !slices.Equal(got, []string{"default", "web"}) {
		t.Error(got)
	}
	b.Must(b.Compute.RemoveGroup(t.Context(), a, s.ID, "default"))
	if got := groups(); !slices.Equal(got, []string{"web"}) {
		t.Error(got)
	}
	for name, err := range map[string]error{
		"not worn": b.Compute.RemoveGroup(t.Context(), a, s.ID, "default"), "no such": b.Compute.AddGroup(t.Context(), a, s.ID, "none"),
	} {
		if !cloud.Is(err, cloud.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestManyServersHaveTheirOwnPorts holds the two ways to read ports against each
// other: by the servers' ids, and by the project.
func TestManyServersHaveTheirOwnPorts(t *testing.T) {
	b := computetest.New(t)
	_, err := b.Compute.SetQuota(t.Context(), computetest.Project, "", map[string]int{"instances": -1, "cores": -1, "ram": -1}, true)
	b.Must(err)
	r := computetest.Request()
	r.Min, r.Max = 60, 60
	_, err = b.Compute.Create(t.Context(), computetest.Member(), r)
	b.Must(err)
	p, err := b.Compute.Servers(t.Context(), computetest.Member().Caller, compute.Filter{}, true)
	b.Must(err)
	for _, d := range p.Servers {
		one, err := b.Compute.Server(t.Context(), computetest.Member().Caller, d.ID)
		b.Must(err)
		if len(d.Ports) != 1 || d.Ports[0].ID != one.Ports[0].ID || d.Ports[0].Network != "private" || !slices.Equal(d.Groups, one.Groups) {
			t.Fatalf("%s: %+v, alone %+v", d.Name, d.Ports, one.Ports)
		}
	}
	if len(p.Servers) != 60 {
		t.Errorf("%d servers", len(p.Servers))
	}
}

func TestConsoleLines(t *testing.T) {
	b := computetest.New(t)
	a := computetest.Member()
	s := b.Create(a, computetest.Request())
	if _, err := b.Compute.Console(t.Context(), a.Caller, s.ID, -1); !cloud.Is(err, cloud.Conflict) {
		t.Errorf("before it has a node: %v", err)
	}
	b.Run(s.ID)
	b.Log = "one\ntwo\nthree\n"
	for lines, want := range map[int]string{-1: "one\ntwo\nthree\n", 0: "", 1: "three\n", 2: "two\nthree\n", 9: "one\ntwo\nthree\n"} {
		got, err := b.Compute.Console(t.Context(), a.Caller, s.ID, lines)
		if err != nil || got != want {
			t.Errorf("%d lines: %q %v", lines, got, err)
		}
	}
}

func TestZonesAndHosts(t *testing.T) {
	b := computetest.New(t)
	s := b.Create(computetest.Member(), computetest.Request())
	b.Run(s.ID)
	hosts, err := b.Compute.Hosts(t.Context())
	b.Must(err)
	if len(hosts) != 1 || !hosts[0].Up || hosts[0].Used.MemoryMB != 512 || hosts[0].Servers[0].ID != s.ID {
		t.Errorf("%+v", hosts)
	}
	on, off := true, false
	_, err = b.Compute.ChangeHost(t.Context(), "node-1", compute.HostChange{Enabled: &off, Reason: "new disk"})
	b.Must(err)
	zones, err := b.Compute.Zones(t.Context())
	b.Must(err)
	if len(zones) != 1 || zones[0].Name != "nova" || zones[0].Available {
		t.Errorf("%+v", zones)
	}
	_, err = b.Compute.ChangeHost(t.Context(), "node-1", compute.HostChange{Enabled: &on, ForcedDown: &on})
	b.Must(err)
	if hosts, err = b.Compute.Hosts(t.Context()); err != nil || hosts[0].Up || hosts[0].Disabled {
		t.Errorf("forced down: %+v %v", hosts, err)
	}
	if err := b.Compute.DeleteHost(t.Context(), "node-1"); !cloud.Is(err, cloud.Conflict) {
		t.Errorf("deleted with a server on it: %v", err)
	}
	if _, err := b.Compute.ChangeHost(t.Context(), "none", compute.HostChange{Enabled: &on}); !cloud.Is(err, cloud.NotFound) {
		t.Error(err)
	}
}
