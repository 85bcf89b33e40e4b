package reconcile

import (
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// TestNewKeys: the node is told to make the host keys on a boot volume new before the
// server's first start, and when the volume gets an image anew. Later, and where the
// volume's owner or another server's use of it speaks against that, it is not.
func TestNewKeys(t *testing.T) {
	told := func(w *world) bool {
		t.Helper()
		w.step()
		boot := w.node.specs[len(w.node.specs)-1].BootVolume()
		if boot == nil {
			t.Fatal("the spec has no boot volume")
		}
		return boot.NewKeys
	}
	first := func(change func(*cloud.VolumeAttachment)) *world {
		w := newWorld(t)
		w.want("a", 512)
		w.attach("a", "v", func(a *cloud.VolumeAttachment) { a.Boot = true })
		if change != nil {
			w.attach("b", "v", change)
		}
		return w
	}
	w := first(nil)
	if !told(w) {
		t.Error("not told before the first start")
	}
	w.renew("a") // as after an error: it has never run
	if !told(w) {
		t.Error("not told at the second try")
	}
	w.report("a", cloud.InstanceRunning, "")
	w.renew("a")
	if told(w) {
		t.Error("told of a server that has run")
	}
	rebuild := func(keep string) {
		w.changeVolume("v", func(v *cloud.Volume) { v.Metadata = map[string]string{cloud.PropertyHostKeys: keep} })
		w.write(func(tx *store.Tx) error {
			s, err := tx.Servers.Get("a")
			s.Intent.Disk = s.Intent.Disk.Next(cloud.DiskRebuild, false)
			s.Reimaged = s.Intent.Disk.Turn
			return firstError(err, tx.Servers.Update(s))
		})
		w.renew("a")
	}
	if rebuild(""); !told(w) {
		t.Error("not told of a new image")
	}
	w.says("a", func(i *cloud.InstanceStatus) {
		i.Generation, i.Turn = w.server("a").Intent.Generation, w.server("a").Reimaged
	})
	w.renew("a")
	if told(w) {
		t.Error("told of an image that is there by now")
	}
	if rebuild(cloud.KeepHostKeys); told(w) {
		t.Error("told of a volume that keeps its keys")
	}
	if w := first(func(a *cloud.VolumeAttachment) { a.ID = "at-other" }); told(w) {
		t.Error("told of a volume that another server has, too")
	}
}
