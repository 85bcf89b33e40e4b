package reconcile

import (
	"errors"
	"strings"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

func TestServerIsPlacedHandedOverAndSettles(t *testing.T) {
	w := newWorld(t)
	w.want("a", 512)
	if got := w.server("a").Status(); got != "BUILD" {
		t.Fatalf("before: %s", got)
	}
	w.step()
	s := w.server("a")
	if s.Node != "node-1" || s.TaskState() != cloud.TaskSpawning || !s.NextAttemptAt.IsZero() {
		t.Errorf("after the first step: node %q, task %q, next %v", s.Node, s.TaskState(), s.NextAttemptAt)
	}
	if len(w.node.specs) != 1 || w.node.specs[0].Ports[0].MAC == "" || w.node.specs[0].Meta.Links[0].Addresses[0].IP.String() != "10.0.0.11" {
		t.Errorf("the node was handed %+v", w.node.specs)
	}
	if len(w.node.networks) != 1 || len(w.node.networks[0].Ports) != 1 || w.node.networks[0].DHCP == nil {
		t.Errorf("the network was not there before the instance: %+v", w.node.networks)
	}
	w.report("a", cloud.InstanceRunning, "")
	s = w.server("a")
	if s.Status() != "ACTIVE" || s.LaunchedAt == nil {
		t.Errorf("after running: %s, launched %v", s.Status(), s.LaunchedAt)
	}
	var port cloud.Port
	w.write(func(tx *store.Tx) (err error) { port, err = tx.Ports.Get("port-a"); return err })
	if port.Host != "node-1" || !port.Up {
		t.Errorf("the port: host %q, up %v", port.Host, port.Up)
	}
	if due := w.step(); len(due) != 0 {
		t.Errorf("still due: %v", due)
	}
}

func TestNoHostFitsSaysWhy(t *testing.T) {
	w := newWorld(t)
	w.want("big", 1<<20)
	w.step()
	s := w.server("big")
	if s.Status() != "ERROR" || s.Fault == nil || !strings.Contains(s.Fault.Message, "node-1") || !strings.Contains(s.Fault.Message, "memory") {
		t.Errorf("status %s, fault %+v", s.Status(), s.Fault)
	}
	if due := w.step(); len(due) != 0 {
		t.Errorf("a hopeless server is tried again: %v", due)
	}
	w.delete("big")
	w.step()
	if !w.gone("big") {
		t.Error("a server in ERROR cannot be deleted")
	}
}

func (w *world) delete(id string) {
	w.t.Helper()
	w.write(func(tx *store.Tx) error {
		s, err := tx.Servers.Get(id)
		if err != nil {
			return err
		}
		s.Intent.Deleted, s.Intent.Generation, s.NextAttemptAt = true, s.Intent.Generation+1, w.clock.Now()
		return tx.Servers.Update(s)
	})
}

func TestFailureIsTriedAgainLater(t *testing.T) {
	w := newWorld(t)
	w.want("a", 512)
	w.node.fail = cloud.E("test", cloud.Unavailable, "the wire is cut")
	w.step()
	if s := w.server("a"); s.Attempt != 1 || !s.NextAttemptAt.After(w.clock.Now()) || s.Status() != "BUILD" {
		t.Fatalf("attempt %d, next %v, %s", s.Attempt, s.NextAttemptAt, s.Status())
	}
	if due := w.step(); len(due) != 0 {
		t.Fatalf("tried again at once: %v", due)
	}
	w.node.fail = nil
	w.clock.Advance(2 * time.Second)
	w.step()
	if s := w.server("a"); len(w.node.specs) != 1 || s.Attempt != 0 {
		t.Errorf("the second try did not happen: %d specs, attempt %d", len(w.node.specs), s.Attempt)
	}
}

func TestDeleteWaitsForTheNode(t *testing.T) {
	w := newWorld(t)
	w.want("a", 512)
	w.step()
	w.report("a", cloud.InstanceRunning, "")
	w.delete("a")
	w.step()
	if w.gone("a") {
		t.Fatal("the row went before the instance")
	}
	delete(w.node.instances, "a")
	if err := w.Observe(t.Context(), "node-1", cloud.InstanceStatus{ID: "a", Observation: cloud.Observation{Generation: 2}}); err != nil {
		t.Fatal(err)
	}
	w.step()
	if !w.gone("a") {
		t.Error("the row stayed")
	}
	w.write(func(tx *store.Tx) error {
		if n, err := tx.Ports.Count(store.Eq("device_id", "a")); err != nil || n != 0 {
			t.Errorf("%d ports are left, %v", n, err)
		}
		past, err := tx.PastServers.Get("a")
		if err != nil || past.LaunchedAt == nil || past.EndedAt.IsZero() || past.Flavor.MemoryMB != 512 {
			t.Errorf("what is left of it for the report of usage: %+v, %v", past, err)
		}
		left, err := tx.GoneServers.Get("a")
		if err != nil || left.Status() != cloud.StatusGone || left.Node != "node-1" || !left.DeletedAt.Equal(w.clock.Now()) {
			t.Errorf("what is left of it for lists: %s, %+v, %v", left.Status(), left, err)
		}
		return nil
	})
}

func TestFailedStartBecomesAFault(t *testing.T) {
	w := newWorld(t)
	w.want("a", 512)
	w.step()
	w.report("a", cloud.InstanceFailed, "the image's kernel does not boot")
	s := w.server("a")
	if s.Status() != "ERROR" || s.Fault.Message != "the image's kernel does not boot" {
		t.Errorf("%s, %+v", s.Status(), s.Fault)
	}
}

func TestGuestThatPowersItselfOffStaysOff(t *testing.T) {
	w := newWorld(t)
	w.want("a", 512)
	w.step()
	w.report("a", cloud.InstanceRunning, "")
	w.report("a", cloud.InstanceStopped, "")
	s := w.server("a")
	if s.Intent.Power != cloud.PowerOff || s.Intent.Generation != 2 {
		t.Fatalf("intent %+v", s.Intent)
	}
	w.step()
	if last := w.node.specs[len(w.node.specs)-1]; last.Intent.Power != cloud.PowerOff {
		t.Error("the node was not told: at its next start it would boot the guest")
	}
	w.report("a", cloud.InstanceStopped, "")
	if s := w.server("a"); s.Status() != "SHUTOFF" || s.TaskState() != "" {
		t.Errorf("%s, task %q", s.Status(), s.TaskState())
	}
}

func TestStaleStopIsNotTheGuestsWish(t *testing.T) {
	w := newWorld(t)
	w.want("a", 512)
	w.step()
	w.report("a", cloud.InstanceRunning, "")
	w.write(func(tx *store.Tx) error { // its owner has just asked for a start
		s, err := tx.Servers.Get("a")
		s.Intent.Generation = 5
		return firstError(err, tx.Servers.Update(s))
	})
	old := cloud.InstanceStatus{ID: "a", Observation: cloud.Observation{Generation: 4, State: cloud.InstanceStopped}}
	if err := w.Observe(t.Context(), "node-1", old); err != nil {
		t.Fatal(err)
	}
	if s := w.server("a"); s.Intent.Power != cloud.PowerOn || s.Intent.Generation != 5 {
		t.Errorf("an answer to an older intent changed the intent: %+v", s.Intent)
	}
}

func TestResyncRemovesStrangersAndHandsOverTheForgotten(t *testing.T) {
	w := newWorld(t)
	w.want("a", 512)
	w.step()
	w.report("a", cloud.InstanceRunning, "")
	w.node.instances = map[string]cloud.InstanceStatus{"stranger": {ID: "stranger"}}
	if err := w.Resync(t.Context(), "node-1", w.node); err != nil {
		t.Fatal(err)
	}
	if len(w.node.removed) != 1 || w.node.removed[0] != "stranger" {
		t.Errorf("removed %v", w.node.removed)
	}
	w.node.specs = nil
	w.step()
	if len(w.node.specs) != 1 || w.node.specs[0].ID != "a" {
		t.Errorf("the forgotten server was not handed over again: %+v", w.node.specs)
	}
}

func TestReportsAreWrittenOnceEach(t *testing.T) {
	in := newInbox()
	in.put(cloud.InstanceStatus{ID: "a", Observation: cloud.Observation{Step: "disk"}})
	in.put(cloud.InstanceStatus{ID: "a", Observation: cloud.Observation{Step: "guest"}})
	got := in.takeAll()
	if len(got) != 1 || got[0].Step != "guest" {
		t.Fatalf("got %+v", got)
	}
	in.put(cloud.InstanceStatus{ID: "a", Observation: cloud.Observation{State: cloud.InstanceRunning}})
	in.putBack(got)
	if now := in.takeAll(); now[0].State != cloud.InstanceRunning {
		t.Error("an old report came back over a newer one")
	}
}

// What a node says again, as it does after a restart, is no news of a server: clients
// list what has changed since a moment.
func TestSaidAgainIsNoChange(t *testing.T) {
	w := newWorld(t)
	w.want("a", 512)
	w.step()
	w.report("a", cloud.InstanceRunning, "")
	at := w.server("a").UpdatedAt
	w.clock.Advance(time.Hour)
	w.report("a", cloud.InstanceRunning, "")
	if s := w.server("a"); !s.UpdatedAt.Equal(at) || !s.Seen.At.Equal(w.clock.Now()) {
		t.Errorf("updated at %s, seen at %s; want %s and %s", s.UpdatedAt, s.Seen.At, at, w.clock.Now())
	}
	w.report("a", cloud.InstanceStopped, "")
	if s := w.server("a"); !s.UpdatedAt.Equal(w.clock.Now()) {
		t.Errorf("stopped, and updated at %s", s.UpdatedAt)
	}
}

func TestSeedIsKept(t *testing.T) {
	w := newWorld(t)
	first := string(w.seed)
	if err := w.loadSeed(t.Context()); err != nil || string(w.seed) != first || len(first) != 32 {
		t.Errorf("the seed changed, or %v", errors.Join(err))
	}
}
