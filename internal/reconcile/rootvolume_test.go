package reconcile

import (
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// rooted is a world with a server that is off, whose root disk is to become the
// volume v.
func rooted(t *testing.T) *world {
	w := newWorld(t)
	w.want("a", 512)
	w.step()
	w.report("a", cloud.InstanceStopped, "")
	w.write(func(tx *store.Tx) error {
		s, err := tx.Servers.Get("a")
		now := w.clock.Now()
		s.LaunchedAt, s.Intent.Power, s.NextAttemptAt = &now, cloud.PowerOff, now
		s.Intent.Generation++
		s.ToVolume = &cloud.ToVolume{VolumeID: "v"}
		return firstError(err, tx.Servers.Update(s),
			tx.Actions.Insert(cloud.ActionRecord{ID: "act", ServerID: "a", Action: "hearthRootToVolume", StartedAt: now}),
			tx.Volumes.Insert(cloud.Volume{ID: "v", SizeGB: 1, Node: "node-1", RootDisk: "a-root", NextAttemptAt: now}),
			tx.VolumeAttachments.Insert(cloud.VolumeAttachment{ID: "at", VolumeID: "v", ServerID: "a", State: cloud.AttachmentAttaching, Plug: true, Boot: true, DeleteOnTermination: true, CreatedAt: now}))
	})
	return w
}

// TestRootBecomesVolume: the node gets the server's spec with the volume only when
// that is whole, and gives the disk up by its turn.
func TestRootBecomesVolume(t *testing.T) {
	w := rooted(t)
	if spec := volumeSpec(w.volume("v")); spec.From != "a-root" {
		t.Errorf("the volume is made of %+v", spec)
	}
	specs := len(w.node.specs)
	w.step()
	if s := w.server("a"); len(w.node.specs) != specs || s.VolumeBoot || s.TaskState() != cloud.TaskToVolume {
		t.Fatalf("before the copy is whole: %d specs, %+v", len(w.node.specs)-specs, s.Intent)
	}
	w.changeVolume("v", func(v *cloud.Volume) { v.Seen = cloud.VolumeSeen{Ready: true, SizeBytes: cloud.GiB} })
	w.write(func(tx *store.Tx) error { return w.wakeServers(tx, "v") })
	w.step()
	w.step()
	s, spec := w.server("a"), w.node.specs[len(w.node.specs)-1]
	if !s.VolumeBoot || s.ImageID != "" || s.ToVolume != nil || s.TaskState() != cloud.TaskToVolume {
		t.Errorf("the server is %+v, task %q", s, s.TaskState())
	}
	if b := spec.BootVolume(); b == nil || b.VolumeID != "v" || spec.Intent.Disk.Turn != 1 || spec.Intent.Disk.Kept != 1 || spec.Intent.Power != cloud.PowerOff {
		t.Errorf("the node is told %+v, boot volume %+v", spec.Intent, b)
	}
	w.says("a", func(i *cloud.InstanceStatus) {
		i.Generation, i.Turn, i.Volumes = s.Intent.Generation, 1, []string{"v"}
	})
	w.write(func(tx *store.Tx) error {
		at, err := tx.VolumeAttachments.Get("at")
		if err == nil && (at.State != cloud.AttachmentAttached || at.DeleteOnTermination) {
			t.Errorf("the attachment is %+v", at)
		}
		act, aerr := tx.Actions.Get("act")
		if aerr == nil && (act.FinishedAt == nil || act.Error != "") {
			t.Errorf("the action is %+v", act)
		}
		return firstError(err, aerr)
	})
	if s := w.server("a"); s.TaskState() != cloud.TaskNone {
		t.Errorf("task %q at the end", s.TaskState())
	}
}

// TestRootStays: a copy that fails leaves the server as it was, with a word about it
// in its history and no volume.
func TestRootStays(t *testing.T) {
	w := rooted(t)
	w.changeVolume("v", func(v *cloud.Volume) { v.Fault = "the disk is full" })
	w.step()
	s := w.server("a")
	if s.ToVolume != nil || s.VolumeBoot || s.Intent.Disk.Turn != 0 || s.TaskState() != cloud.TaskNone {
		t.Errorf("the server is %+v, task %q", s, s.TaskState())
	}
	if v := w.volume("v"); !v.Deleted {
		t.Errorf("the volume stays: %+v", v)
	}
	w.write(func(tx *store.Tx) error {
		act, err := tx.Actions.Get("act")
		if err == nil && act.Error == "" {
			t.Errorf("the action is %+v", act)
		}
		return err
	})
}
