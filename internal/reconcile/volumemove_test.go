package reconcile

import (
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// TestAVolumeMovesToAnotherPool and leaves no disk behind, whether it arrives or
// not.
func TestAVolumeMovesToAnotherPool(t *testing.T) {
	w, n, _ := newVolumeWorld(t)
	n.disks["volume-m"] = cloud.GiB
	at := w.clock.Now()
	seen := cloud.VolumeSeen{Ready: true, SizeBytes: cloud.GiB}
	w.addVolume(cloud.Volume{ID: "m", Node: "node-1", SizeGB: 1, Seen: seen, Move: &cloud.VolumeMove{Pool: "fast"}, NextAttemptAt: at})
	w.chores()
	if v := w.volume("m"); v.Pool != "fast" || v.Move != nil || v.MigrationStatus != "success" || v.Seen.Path != "/volume-m@fast" {
		t.Errorf("%+v", v)
	}
	w.chores()
	if v := w.volume("m"); v.Stale != "" || len(n.disks) != 1 || n.disks["volume-m@fast"] != cloud.GiB || !v.NextAttemptAt.IsZero() {
		t.Errorf("%+v, %v", v, n.disks)
	}
}

func TestAMoveThatFails(t *testing.T) {
	w, n, _ := newVolumeWorld(t)
	n.disks["volume-m"] = cloud.GiB
	n.fail = cloud.E("node", cloud.NoCapacity, "the volume group is full")
	w.addVolume(cloud.Volume{ID: "m", Node: "node-1", SizeGB: 1, Seen: cloud.VolumeSeen{Ready: true, SizeBytes: cloud.GiB}, Move: &cloud.VolumeMove{Pool: "fast", TypeID: "t"}, NextAttemptAt: w.clock.Now()})
	w.chores()
	v := w.volume("m")
	if v.Pool != "" || v.Move != nil || v.MigrationStatus != "error" || v.Stale != "fast" || v.Status(nil) != cloud.VolumeAvailable {
		t.Errorf("%+v", v)
	}
	n.fail = nil
	n.disks["volume-m@fast"] = cloud.GiB // as when it broke off later
	w.chores()
	if v := w.volume("m"); v.Stale != "" || len(n.disks) != 1 || n.disks["volume-m"] != cloud.GiB {
		t.Errorf("%+v, %v", v, n.disks)
	}
}

func TestPlaceInAPool(t *testing.T) {
	w, n, _ := newVolumeWorld(t)
	w.write(func(tx *store.Tx) error {
		h, err := tx.Hosts.Get("node-1")
		if err != nil {
			return err
		}
		h.Seen.Pools = []cloud.PoolStatus{
			{Name: "file", Protocol: "file", Thin: true, FreeGB: 50}, {Name: "fast", Protocol: "lvm", FreeGB: 5}, {Name: "share", Protocol: "nfs", FreeGB: 500, Fault: "nothing is mounted"},
		}
		return tx.Hosts.Update(h)
	})
	for id, spec := range map[string]string{"a": "", "b": "fast", "c": "share"} {
		specs := map[string]string{}
		if spec != "" {
			specs["volume_backend_name"] = spec
		}
		w.write(func(tx *store.Tx) error {
			return tx.VolumeTypes.Insert(cloud.VolumeType{ID: "type-" + id, Name: id, ExtraSpecs: specs})
		})
		w.addVolume(cloud.Volume{ID: id, SizeGB: 2, TypeID: "type-" + id})
	}
	w.chores()
	for id, want := range map[string]string{"a": "volume-a", "b": "volume-b@fast"} {
		if v := w.volume(id); n.disks[want] != 2*cloud.GiB || !v.Seen.Ready {
			t.Errorf("%s: %+v, %v", id, v, n.disks)
		}
	}
	if v := w.volume("c"); v.Fault == "" || v.Status(nil) != cloud.VolumeError {
		t.Errorf("%+v", v)
	}
	w.addVolume(cloud.Volume{ID: "d", SizeGB: 6, TypeID: "type-b"}) // more than a thick pool has
	w.chores()
	if v := w.volume("d"); v.Fault == "" {
		t.Errorf("%+v", v)
	}
}
