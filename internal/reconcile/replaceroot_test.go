package reconcile

import (
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// replacing is a world with a server that is off, whose root disk is being replaced by
// an image; its own is "own", deployed by a definition.
func replacing(t *testing.T) *world {
	w := newWorld(t)
	w.want("a", 512)
	w.step()
	w.report("a", cloud.InstanceStopped, "")
	w.write(func(tx *store.Tx) error {
		s, err := tx.Servers.Get("a")
		now := w.clock.Now()
		s.LaunchedAt, s.Intent.Power, s.NextAttemptAt, s.Image.ID, s.Deploy = &now, cloud.PowerOff, now, "own", &cloud.DeploySpec{Name: "d"}
		s.Intent.Generation++
		s.Intent.Disk, s.RootImage = s.Intent.Disk.Next(cloud.DiskReplace, true), &cloud.ImageRef{ID: "changed"}
		return firstError(err, tx.Servers.Update(s), tx.Actions.Insert(cloud.ActionRecord{ID: "act", ServerID: "a", Action: "hearthReplaceRoot", StartedAt: now}))
	})
	w.step()
	return w
}

// lastSpec is what the node was told last.
func (w *world) lastSpec() cloud.InstanceSpec { return w.node.specs[len(w.node.specs)-1] }

// action is the record of what was asked for.
func (w *world) action() (act cloud.ActionRecord) {
	w.write(func(tx *store.Tx) (err error) { act, err = tx.Actions.Get("act"); return err })
	return act
}

// TestRootIsReplaced: the node makes the disk of the other image, without a definition,
// and gives the old one up when the new one is there.
func TestRootIsReplaced(t *testing.T) {
	w := replacing(t)
	s, spec := w.server("a"), w.lastSpec()
	if spec.Image.ID != "changed" || spec.Deploy != nil || spec.Intent.Disk.Turn != 1 || spec.Intent.Disk.Kept != 0 || s.TaskState() != cloud.TaskReplaceRoot || s.Status() != "SHUTOFF" {
		t.Fatalf("the node is told %+v; task %q, %s", spec, s.TaskState(), s.Status())
	}
	w.says("a", func(i *cloud.InstanceStatus) { i.Generation, i.Turn = s.Intent.Generation, 1 })
	if s = w.server("a"); s.RootImage != nil || s.Intent.Disk != s.Intent.Disk.Stay() || s.TaskState() != cloud.TaskNone {
		t.Errorf("the server is %+v, task %q", s, s.TaskState())
	}
	if act := w.action(); act.FinishedAt == nil || act.Error != "" {
		t.Errorf("the action is %+v", act)
	}
	w.step()
	if spec := w.lastSpec(); spec.Image.ID != "own" || spec.Deploy == nil || spec.Intent.Disk.Kept != 1 {
		t.Errorf("the node is told %+v", spec)
	}
}

// TestRootIsNotReplaced: a failure leaves the server on its old disk, without a fault,
// and is in its history.
func TestRootIsNotReplaced(t *testing.T) {
	w := replacing(t)
	w.report("a", cloud.InstanceFailed, "no space left on device")
	s := w.server("a")
	if s.RootImage != nil || s.Intent.Disk.Turn != 0 || s.Fault != nil {
		t.Errorf("the server is %+v, %+v", s.Intent, s.Fault)
	}
	if act := w.action(); act.FinishedAt == nil || act.Error == "" {
		t.Errorf("the action is %+v", act)
	}
	w.step()
	w.report("a", cloud.InstanceStopped, "")
	if s := w.server("a"); s.Status() != "SHUTOFF" || s.TaskState() != cloud.TaskNone {
		t.Errorf("%s, task %q", s.Status(), s.TaskState())
	}
}
