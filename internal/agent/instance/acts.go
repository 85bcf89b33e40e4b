package instance

import (
	"context"
	"slices"
	"time"

	"hearth/internal/cloud"
)

// outcome is what came of an action.
type outcome int

const (
	more    outcome = iota // look again at once
	rest                   // nothing to do until something happens
	removed                // the instance is gone
)

// act does the next thing. It gives the time after which to try again, 0 for at
// once or not at all.
func (w *worker) act(ctx context.Context) (again time.Duration, out outcome) {
	spec := w.wanted()
	if ctx.Err() != nil { // condemned since ctx was made: the next one lasts
		return 0, more
	}
	if !w.found && !spec.Intent.Deleted {
		if err := w.find(ctx, spec.Intent); err != nil {
			return w.later("find the guest", err), rest
		}
		w.found = true
		w.mu.Lock()
		w.shownGuest = w.guest
		w.mu.Unlock()
	}
	if w.guest != nil && w.rec.Frozen && !spec.Intent.Deleted {
		if err := w.thaw(ctx); err != nil {
			return w.later("let the guest run on", err), rest
		}
	}
	if w.guest != nil && !spec.Intent.Deleted {
		if err := w.look(ctx, spec.Intent); err != nil {
			return w.later("look after the guest", err), rest
		}
	}
	var err error
	todo := next(spec.Intent, w.rec, w.guest != nil)
	if todo == doNothing && w.rec.Turn == spec.Intent.Disk.Turn && !slices.Equal(w.rec.Snapshots, spec.Snapshots) {
		todo = doCopy
	}
	if (todo == doSuspend || todo == doCopy) && w.guest != nil && slices.ContainsFunc(spec.Volumes, w.swapping) {
		todo = doNothing // first it is to have the disks that it is to have
	}
	switch todo {
	case doRemove:
		if err = w.remove(ctx, spec); err == nil {
			return 0, removed
		}
	case doUndo:
		err = w.undoStart(ctx, spec)
	case doStart:
		again, err = w.start(ctx, spec)
	case doStop:
		again, err = w.halt(ctx, spec.Intent)
	case doPause, doResume:
		err = w.toggle(ctx, spec.Intent)
	case doCopy:
		err = w.copyRoots(ctx, spec)
	case doSuspend:
		err = w.suspend(ctx)
	case doInterrupt:
		err = w.interrupt(ctx, spec.Intent)
	case doForget:
		err = w.forgetMemory(true)
	case doTidy:
		err = w.tidy(ctx, spec)
	default:
		var done bool
		if again, done, err = w.fit(ctx, spec); err == nil && !done {
			return again, rest
		}
		if err == nil {
			err = w.settle(spec.Intent)
		}
		if err == nil {
			return again, rest
		}
	}
	if err != nil {
		return w.later("go on", err), rest
	}
	w.failures = 0
	return again, more
}

// later is the wait after something failed that cannot fail for good.
func (w *worker) later(what string, err error) time.Duration {
	w.failures++
	wait := backoff(w.failures)
	w.log.Warn("cannot "+what+"; it is tried again", "error", err, "after", wait)
	return wait
}

// settle writes down that what is wanted is what is there.
func (w *worker) settle(in cloud.Intent) error {
	r := &w.rec
	state := r.State
	if w.m.Clock.Now().After(w.deadline) {
		w.deadline = time.Time{} // it never heeded the button that an older intent pressed
	}
	switch {
	case w.guest != nil:
	case state == cloud.InstanceFailed && (r.Generation >= in.Generation || !r.Built || in.Power == cloud.PowerOn): // what failed is wanted still
	case r.Saved:
		state = cloud.InstanceSuspended
	default:
		state = cloud.InstanceStopped
	}
	if !w.dirty && state == r.State && r.Generation == in.Generation && r.Reboots == in.Reboots {
		return nil
	}
	r.State, r.Step, r.Generation, r.Reboots = state, "", in.Generation, in.Reboots
	if err := w.save(true); err != nil {
		return err
	}
	w.dirty = false
	return nil
}

// halt ends the guest: by its power button, and when the grace is over or a hard
// reboot was asked for, by force. What ends by itself is seen by look.
func (w *worker) halt(ctx context.Context, in cloud.Intent) (again time.Duration, err error) {
	now := w.m.Clock.Now()
	hard := in.Power == cloud.PowerOn && in.HardReboot && w.rec.Reboots < in.Reboots ||
		in.Disk.Why == cloud.DiskRebuild && w.rec.Turn != in.Disk.Turn || // its disk is given up
		w.rec.State == cloud.InstancePaused // nobody in it can heed a button
	if w.deadline.IsZero() && !hard {
		if err := w.guest.Shutdown(ctx); err != nil && !cloud.Is(err, cloud.NotFound) {
			w.log.Warn("the power button of the guest does not work; it is ended by force", "error", err)
			return 0, w.end(ctx, in, "")
		}
		w.deadline = now.Add(w.m.ShutdownGrace)
		return w.m.ShutdownGrace, nil
	}
	if left := w.deadline.Sub(now); !hard && left > 0 {
		return left, nil
	}
	if !hard {
		w.log.Info("the guest did not shut down in time; it is ended by force", "grace", w.m.ShutdownGrace)
	}
	return 0, w.end(ctx, in, "")
}

// end makes sure that the guest's process is gone and writes down what is left.
// why is set when it was not asked to end.
func (w *worker) end(ctx context.Context, in cloud.Intent, why string) error {
	asked := !w.deadline.IsZero()
	w.deadline = time.Time{}
	r := &w.rec
	if !asked && !wantedGone(in, *r) {
		r.Halted, r.Error = in.Generation, why
		if err := w.write(false); err != nil {
			return err
		}
	}
	w.m.Hook("instance.end.before")
	if err := w.guest.Quit(ctx); err != nil {
		return err
	}
	w.m.Hook("instance.end.after")
	w.log.Info("the guest was ended", "asked", asked || wantedGone(in, *r), "why", why, "request", w.wanted().Request)
	w.letGo()
	r.Handle = nil
	if err := w.unplug(ctx); err != nil { // taps end with their guest in any case
		w.log.Warn("a port of the ended guest cannot be unplugged", "error", err)
	}
	r.State = cloud.InstanceStopped
	if (in.Power == cloud.PowerOn || r.Turn != in.Disk.Turn) && r.Halted != in.Generation {
		r.State = cloud.InstancePreparing // between the two halves of a reboot
	}
	w.dirty = true
	return nil
}

// toggle stops the guest's processors or lets them run on, once for an intent:
// what came of it is what the guest itself says.
func (w *worker) toggle(ctx context.Context, in cloud.Intent) error {
	w.m.Hook("instance.toggle.before")
	do := w.guest.Resume
	if in.Paused {
		do = w.guest.Pause
	} else if err := w.forgetMemory(false); err != nil { // of a suspend that was cut off
		return err
	}
	if err := do(ctx); err != nil && !cloud.Is(err, cloud.Conflict) {
		return err
	}
	w.m.Hook("instance.toggle.after")
	w.rec.Switched, w.dirty = in.Generation, true
	return nil
}

// interrupt sends the guest a non-maskable interrupt. One that an agent was killed
// over is not sent again.
func (w *worker) interrupt(ctx context.Context, in cloud.Intent) error {
	w.rec.NMIs, w.dirty = in.NMIs, true
	if err := w.write(true); err != nil {
		return err
	}
	w.m.Hook("instance.interrupt.before")
	if err := w.guest.Interrupt(ctx); err != nil {
		w.log.Warn("the guest could not be interrupted", "error", err)
	}
	return nil
}

// tidy removes the root disks that are neither run on nor kept.
func (w *worker) tidy(ctx context.Context, spec cloud.InstanceSpec) error {
	d := spec.Intent.Disk
	w.m.Hook("instance.tidy.before")
	for turn := range d.Last + 1 {
		if turn == d.Turn || turn == d.Kept {
			continue
		}
		if err := w.m.Storage.RemoveDisk(ctx, diskID(spec.ID, rootName(turn))); err != nil {
			return err
		}
	}
	w.m.Hook("instance.tidy.after")
	w.rec.Disk, w.dirty = d, true
	return w.write(true)
}

// remove undoes all there is of the instance, and then its folder.
func (w *worker) remove(ctx context.Context, spec cloud.InstanceSpec) error {
	for _, s := range w.steps(spec).reversed() {
		if err := w.undo(ctx, s); err != nil {
			return err
		}
	}
	w.log.Info("the instance was removed", "request", spec.Request)
	return w.m.destroy(w)
}

// undoStart undoes a start that failed for good, and reports it. The disks of an
// instance that ran before are its owner's and stay.
func (w *worker) undoStart(ctx context.Context, spec cloud.InstanceSpec) error {
	for _, s := range w.steps(spec).reversed() {
		if w.rec.Built && s.lasts {
			continue
		}
		if err := w.undo(ctx, s); err != nil {
			return err
		}
	}
	r := &w.rec
	r.State, r.Error, r.Failing, r.Step = cloud.InstanceFailed, r.Failing, "", ""
	r.Done, r.Attempts = nil, 0
	r.Generation, r.Reboots = spec.Intent.Generation, spec.Intent.Reboots
	return w.save(true)
}

func (w *worker) undo(ctx context.Context, s step) error {
	if s.undo == nil {
		return nil
	}
	w.m.Hook("instance." + s.name + ".undo.before")
	if err := s.undo(ctx); err != nil {
		return err
	}
	w.m.Hook("instance." + s.name + ".undo.after")
	return nil
}
