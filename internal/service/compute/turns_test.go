package compute_test

import (
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/service/compute"
	"hearth/internal/service/compute/computetest"
	"hearth/internal/store"
)

// carried lets the node carry out what is wanted, disks and copies included.
func carried(b *computetest.Bench, id string) {
	b.Run(id)
	b.Update(func(tx *store.Tx) error {
		s, err := tx.Servers.Get(id)
		if err != nil {
			return err
		}
		s.Seen.Turn, s.Seen.Snapshots = s.Intent.Disk.Turn, s.Snapshots
		if s.Intent.Paused {
			s.Seen.State = cloud.InstancePaused
		}
		return tx.Servers.Update(s)
	})
}

func TestTurns(t *testing.T) {
	b := computetest.New(t)
	a, ctx := computetest.Member(), t.Context()
	s := b.Create(a, computetest.Request())
	carried(b, s.ID)
	svc := b.Compute
	rebuild := func(image string) func() error {
		return func() error {
			name := "again"
			_, err := svc.Rebuild(ctx, a, s.ID, compute.RebuildRequest{ImageID: image, Update: compute.ServerUpdate{Name: &name}})
			return err
		}
	}
	resize := func(flavor string) func() error { return func() error { return svc.Resize(ctx, a, s.ID, flavor, "") } }
	one := func(do func(compute.Actor, string) error) func() error { return func() error { return do(a, s.ID) } }
	for _, c := range []struct {
		what        string
		do          func() error
		refuse      string // why not, or
		under, then string // the status while it is under way, and when it is carried out
		flavor      string
		disk        cloud.DiskIntent
	}{
		{"unpause", one(func(a compute.Actor, id string) error { return svc.Unpause(ctx, a, id) }), "vm_state active", "ACTIVE", "ACTIVE", "1", cloud.DiskIntent{}},
		{"pause", one(func(a compute.Actor, id string) error { return svc.Pause(ctx, a, id) }), "", "ACTIVE", "PAUSED", "1", cloud.DiskIntent{}},
		{"resize", resize("2"), "vm_state paused", "PAUSED", "PAUSED", "1", cloud.DiskIntent{}},
		{"unpause", one(func(a compute.Actor, id string) error { return svc.Unpause(ctx, a, id) }), "", "PAUSED", "ACTIVE", "1", cloud.DiskIntent{}},
		{"rebuild", rebuild("nope"), "Can not find requested image", "ACTIVE", "ACTIVE", "1", cloud.DiskIntent{}},
		{"rebuild", rebuild(computetest.ImageID), "", "REBUILD", "ACTIVE", "1", cloud.DiskIntent{Turn: 1, Kept: 1, Last: 1, Why: cloud.DiskRebuild}},
		{"resize", resize("nope"), "could not be found", "ACTIVE", "ACTIVE", "1", cloud.DiskIntent{Turn: 1, Kept: 1, Last: 1, Why: cloud.DiskRebuild}},
		{"resize", resize("1"), "must change flavor", "ACTIVE", "ACTIVE", "1", cloud.DiskIntent{Turn: 1, Kept: 1, Last: 1, Why: cloud.DiskRebuild}},
		{"confirm", one(func(a compute.Actor, id string) error { return svc.ConfirmResize(ctx, a, id) }), "vm_state active", "ACTIVE", "ACTIVE", "1", cloud.DiskIntent{Turn: 1, Kept: 1, Last: 1, Why: cloud.DiskRebuild}},
		{"resize", resize("2"), "", "RESIZE", "VERIFY_RESIZE", "2", cloud.DiskIntent{Turn: 2, Kept: 1, Last: 2, Why: cloud.DiskResize}},
		{"rescue", one(func(a compute.Actor, id string) error { return svc.Rescue(ctx, a, id, "", true) }), "vm_state resized", "VERIFY_RESIZE", "VERIFY_RESIZE", "2", cloud.DiskIntent{Turn: 2, Kept: 1, Last: 2, Why: cloud.DiskResize}},
		{"revert", one(func(a compute.Actor, id string) error { return svc.RevertResize(ctx, a, id) }), "", "REVERT_RESIZE", "ACTIVE", "1", cloud.DiskIntent{Turn: 1, Kept: 1, Last: 2, Why: cloud.DiskRevert}},
		{"resize", resize("2"), "", "RESIZE", "VERIFY_RESIZE", "2", cloud.DiskIntent{Turn: 3, Kept: 1, Last: 3, Why: cloud.DiskResize}},
		{"confirm", one(func(a compute.Actor, id string) error { return svc.ConfirmResize(ctx, a, id) }), "", "ACTIVE", "ACTIVE", "2", cloud.DiskIntent{Turn: 3, Kept: 3, Last: 3}},
		{"smaller", resize("1"), "Unable to resize disk down", "ACTIVE", "ACTIVE", "2", cloud.DiskIntent{Turn: 3, Kept: 3, Last: 3}},
		{"rescue", one(func(a compute.Actor, id string) error { return svc.Rescue(ctx, a, id, "", true) }), "", "ACTIVE", "RESCUE", "2", cloud.DiskIntent{Turn: 4, Kept: 3, Last: 4, Why: cloud.DiskRescue}},
		{"unrescue", one(func(a compute.Actor, id string) error { return svc.Unrescue(ctx, a, id) }), "", "RESCUE", "ACTIVE", "2", cloud.DiskIntent{Turn: 3, Kept: 3, Last: 4, Why: cloud.DiskUnrescue}},
	} {
		err := c.do()
		if c.refuse == "" && err != nil || c.refuse != "" && (err == nil || !strings.Contains(cloud.Message(err), c.refuse)) {
			t.Fatalf("%s: %v, want %q", c.what, err, c.refuse)
		}
		if got := b.Server(s.ID); got.Status() != c.under {
			t.Fatalf("%s: %s, want %s", c.what, got.Status(), c.under)
		}
		carried(b, s.ID)
		if got := b.Server(s.ID); got.Status() != c.then || got.Flavor.ID != c.flavor || got.Intent.Disk != c.disk {
			t.Fatalf("after %s: %s, flavor %s, %+v; want %s, %s, %+v", c.what, got.Status(), got.Flavor.ID, got.Intent.Disk, c.then, c.flavor, c.disk)
		}
	}
}

func TestCreateImage(t *testing.T) {
	b := computetest.New(t)
	a, ctx := computetest.Member(), t.Context()
	s := b.Create(a, computetest.Request())
	if _, err := b.Compute.CreateImage(ctx, a, s.ID, "early", nil); !cloud.Is(err, cloud.Conflict) {
		t.Errorf("of a server that is being built: %v", err)
	}
	carried(b, s.ID)
	id, err := b.Compute.CreateImage(ctx, a, s.ID, "shot", map[string]string{"mine": "yes"})
	b.Must(err)
	img, err := b.Compute.ImageByID(ctx, a.Caller, id)
	b.Must(err)
	if img.Status != cloud.ImageQueued || img.ServerID != s.ID || img.Properties["mine"] != "yes" || img.Properties["image_type"] != "snapshot" {
		t.Errorf("%+v", img)
	}
	if _, err := b.Compute.ImageByID(ctx, computetest.Caller(computetest.Other, cloud.RoleMember), id); !cloud.Is(err, cloud.NotFound) {
		t.Errorf("a stranger sees it: %v", err)
	}
	if _, err := b.Compute.CreateImage(ctx, a, s.ID, "second", nil); !cloud.Is(err, cloud.Conflict) {
		t.Errorf("a second at once: %v", err)
	}
	if task := b.Server(s.ID).TaskState(); task != cloud.TaskSnapshot {
		t.Errorf("task %q", task)
	}
}

// The operator's word counts until it is taken back, or the server is tried anew.
func TestResetState(t *testing.T) {
	b := computetest.New(t)
	a, ctx := computetest.Admin(), t.Context()
	s := b.Create(a, computetest.Request())
	carried(b, s.ID)
	for _, c := range []struct {
		bad  bool
		want string
	}{{true, "ERROR"}, {false, "ACTIVE"}, {true, "ERROR"}} {
		b.Must(b.Compute.ResetState(ctx, a, s.ID, c.bad))
		if got := b.Server(s.ID).Status(); got != c.want {
			t.Errorf("%v: %s", c.bad, got)
		}
	}
	b.Must(b.Compute.Reboot(ctx, a, s.ID, true))
	carried(b, s.ID)
	if got := b.Server(s.ID).Status(); got != "ACTIVE" {
		t.Errorf("after a hard reboot: %s", got)
	}
}
