package reconcile

import (
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// trash puts a server into the trash, as the service does.
func (w *world) trash(id string, keep time.Duration) {
	w.t.Helper()
	w.write(func(tx *store.Tx) error {
		s, err := tx.Servers.Get(id)
		now := w.clock.Now()
		s.Trash = &cloud.Trash{Since: now, Until: now.Add(keep)}
		s.Intent.Power = cloud.PowerOff
		s.Intent.Generation++
		s.NextAttemptAt = now
		return firstError(err, tx.Servers.Update(s))
	})
}

// TestTrashIsReclaimed: a server in the trash keeps its node and its ports until
// its time is over, even when the housekeeper has forgotten to look at it.
func TestTrashIsReclaimed(t *testing.T) {
	w := newWorld(t)
	w.want("a", 512)
	w.step()
	w.report("a", cloud.InstanceRunning, "")
	w.trash("a", time.Hour)
	w.step()
	if spec := w.node.specs[len(w.node.specs)-1]; spec.Intent.Power != cloud.PowerOff || spec.Intent.Deleted {
		t.Fatalf("the node is told %+v", spec.Intent)
	}
	w.report("a", cloud.InstanceStopped, "")
	w.step()
	s := w.server("a")
	if s.TaskState() != cloud.TaskNone || s.Status() != cloud.StatusTrashed || !s.NextAttemptAt.Equal(s.Trash.Until) {
		t.Fatalf("task %q, status %s, next %s", s.TaskState(), s.Status(), s.NextAttemptAt)
	}
	w.write(func(tx *store.Tx) error { s.NextAttemptAt = time.Time{}; return tx.Servers.Update(s) })
	if err := w.Prune(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(59 * time.Minute)
	w.step()
	if len(w.node.removed) > 0 || w.server("a").Intent.Deleted {
		t.Fatalf("removed before its time: %v", w.node.removed)
	}
	w.clock.Advance(2 * time.Minute)
	w.step()
	if s := w.server("a"); !s.Intent.Deleted {
		t.Fatalf("it is kept beyond its time: %+v", s.Trash)
	}
	w.step()
	if len(w.node.removed) != 1 {
		t.Errorf("the node was told to remove %v", w.node.removed)
	}
}
