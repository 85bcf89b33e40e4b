package instance

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// worker sees to one instance. All it does it does one after the other, in run;
// others only leave word with it.
type worker struct {
	m   *Manager
	id  string
	dir string
	log *slog.Logger

	wake chan struct{} // a word was left
	asks chan ask      // what others have done while nothing else is
	over chan struct{} // closed when run has ended

	mu         sync.Mutex // guards:
	spec       cloud.InstanceSpec
	shown      record             // what is told to others
	shownGuest hypervisor.Guest   // that others may use; nil for none
	giveUp     context.CancelFunc // ends what is being done; nil when nothing is

	// Only run touches these:
	rec      record
	journal  journal
	guest    hypervisor.Guest // nil: none, or not found again yet
	found    bool             // the guest of before has been looked for
	deadline time.Time        // for a guest that was asked to shut down; zero: it was not
	taps     []*os.File       // plugged for a guest that is not started yet
	fitting  fitting          // of the guest to the volumes and ports that are wanted
	dirty    bool             // rec has something that is not written down
	failures int              // of what cannot fail for good: removal, finding the guest
}

func (m *Manager) newWorker(spec cloud.InstanceSpec, rec record) *worker {
	w := &worker{m: m, id: spec.ID, dir: filepath.Join(m.Dir, spec.ID), log: m.Log.With("instance", spec.ID),
		wake: make(chan struct{}, 1), asks: make(chan ask), over: make(chan struct{}), journal: journal{path: filepath.Join(m.Dir, spec.ID, stateName)}, spec: spec, rec: rec, shown: rec.clone()}
	if spec.Intent.Deleted {
		w.shown.State = cloud.InstanceRemoving
	}
	return w
}

func (w *worker) wanted() cloud.InstanceSpec {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.spec
}

func (w *worker) status() cloud.InstanceStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.shown
	return cloud.InstanceStatus{ID: w.id, Steps: r.Timeline, Observation: cloud.Observation{
		Generation: r.Generation, State: r.State, Step: r.Step, Resumes: r.State == cloud.InstancePreparing && (r.Saved || r.Frozen),
		Reboots: r.Reboots, Turn: r.Turn, Snapshots: r.Snapshots, Volumes: r.Volumes, Ports: r.Ports, Refused: r.Refused, Untaken: r.Untaken, Error: r.Error, At: r.At}}
}

// located is what is wanted, with the places of the devices that are there.
func (w *worker) located() cloud.InstanceSpec {
	w.mu.Lock()
	defer w.mu.Unlock()
	spec := w.spec
	spec.Volumes, spec.Ports = slices.Clone(spec.Volumes), slices.Clone(spec.Ports)
	for i, v := range spec.Volumes {
		spec.Volumes[i].Address = w.shown.Addresses[v.VolumeID]
	}
	for i, p := range spec.Ports {
		spec.Ports[i].Address = w.shown.Addresses[p.ID]
	}
	return spec
}

// want replaces the spec by a newer one.
func (w *worker) want(spec cloud.InstanceSpec) error {
	const op = "instance.Apply"
	w.mu.Lock()
	defer w.mu.Unlock()
	switch old := w.spec; {
	case old.Intent.Deleted:
		return cloud.E(op, cloud.Conflict, "instance %s is being removed from this node", w.id)
	case spec.Intent.Generation < old.Intent.Generation:
		return cloud.E(op, cloud.Conflict, "the spec of instance %s is of generation %d, the node has %d already", w.id, spec.Intent.Generation, old.Intent.Generation)
	case same(spec, old):
		return nil
	}
	if err := w.m.writeSpec(w.dir, spec); err != nil {
		return hostError(op, err)
	}
	w.spec = spec
	w.nudge()
	return nil
}

func same(a, b cloud.InstanceSpec) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// condemn writes down that the instance is to go, and whose request that was.
func (w *worker) condemn(request string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.spec.Intent.Deleted {
		return nil
	}
	spec := w.spec
	spec.Intent.Deleted, spec.Request = true, request
	w.m.Hook("instance.condemn.before")
	if err := w.m.writeSpec(w.dir, spec); err != nil {
		return hostError("instance.Remove", err)
	}
	w.m.Hook("instance.condemn.after")
	w.spec = spec
	w.shown.State = cloud.InstanceRemoving
	if w.giveUp != nil {
		w.giveUp()
	}
	w.nudge()
	return nil
}

func (w *worker) nudge() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// write writes the record down.
func (w *worker) write(durable bool) error {
	w.rec.At = w.m.Clock.Now()
	return hostError("instance.save", w.journal.add(w.rec, durable && !w.m.NoSync))
}

// save writes the record down and tells the watchers.
func (w *worker) save(durable bool) error {
	if err := w.write(durable); err != nil {
		return err
	}
	w.show()
	return nil
}

func (w *worker) show() {
	w.mu.Lock()
	w.shown, w.shownGuest = w.rec.clone(), w.guest
	if w.spec.Intent.Deleted {
		w.shown.State, w.shown.Step = cloud.InstanceRemoving, ""
	}
	w.mu.Unlock()
	w.m.hub.tell(w.status)
}

// run does what is to be done until the instance is gone or ctx ends.
func (w *worker) run(ctx context.Context) {
	defer close(w.over)
	defer w.journal.close()
	defer w.letGo()
	defer w.closeTaps()
	w.show()
	for ctx.Err() == nil {
		again, gone := w.advance(ctx)
		if gone {
			return
		}
		w.wait(ctx, again)
	}
}

// letGo drops the connection to the guest, which runs on.
func (w *worker) letGo() {
	if w.guest != nil {
		_ = w.guest.Close()
		w.guest = nil
		w.mu.Lock()
		w.shownGuest = nil
		w.mu.Unlock()
	}
}

// wait returns when there may be something to do: a word was left, something
// happened to the guest, or the time after which to look again is up (0: none).
func (w *worker) wait(ctx context.Context, again time.Duration) {
	var timer <-chan time.Time
	if again > 0 {
		c, stop := w.m.After(again)
		defer stop()
		timer = c
	}
	var events <-chan hypervisor.Event
	if w.guest != nil {
		events = w.guest.Events()
	}
	select {
	case <-ctx.Done():
	case <-w.wake:
	case a := <-w.asks:
		a.done <- a.do()
	case <-timer:
	case ev, ok := <-events:
		if ok {
			w.log.Debug("guest", "event", ev.Kind, "reason", ev.Reason)
			if ev.Kind == hypervisor.EventUnplugged {
				w.fitting.done = false // it may be one that is wanted by now
			}
		}
	}
}

// advance does one thing after the other until nothing is to be done now. It
// gives the time after which to look again, 0 for when something happens.
func (w *worker) advance(ctx context.Context) (again time.Duration, gone bool) {
	for ctx.Err() == nil {
		act, cancel := w.begin(ctx)
		again, out := w.act(act)
		cancel()
		if out == removed {
			w.m.forget(w)
			return 0, true
		}
		if out == rest || again > 0 {
			return again, false
		}
	}
	return 0, false
}

// begin makes a context that ends when the instance is condemned.
func (w *worker) begin(ctx context.Context) (context.Context, context.CancelFunc) {
	act, cancel := context.WithCancel(ctx)
	w.mu.Lock()
	w.giveUp = nil
	if !w.spec.Intent.Deleted {
		w.giveUp = cancel
	}
	w.mu.Unlock()
	return act, cancel
}
