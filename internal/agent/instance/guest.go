package instance

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// startGuest starts the guest and writes down how to find it again.
func (w *worker) startGuest(ctx context.Context, spec cloud.InstanceSpec) error {
	cfg, err := w.guestConfig(ctx, spec)
	if err != nil {
		return err
	}
	if cfg.Saved = w.rec.Saved; cfg.Saved { // what comes back stands still, and is to run on: see thaw
		w.rec.Frozen = true
		if err := w.write(true); err != nil {
			return err
		}
	}
	if w.rec.Video != cfg.Video { // a guest that is found again without having been written down has it too
		w.rec.Video = cfg.Video
		if err := w.write(false); err != nil {
			return err
		}
	}
	g, err := w.m.Hypervisor.Start(ctx, cfg)
	if cloud.Is(err, cloud.Conflict) { // a guest that an agent was killed over
		if derr := w.destroyStray(ctx); derr != nil {
			return errors.Join(err, derr)
		}
		g, err = w.m.Hypervisor.Start(ctx, cfg)
	}
	if err != nil {
		return err
	}
	w.m.Hook("instance.guest.started")
	h := g.Handle()
	w.guest, w.rec.Handle = g, &h
	w.closeTaps()
	return w.write(true)
}

// destroyGuest ends the guest by force, known or not, and removes what it left.
func (w *worker) destroyGuest(ctx context.Context) error {
	if w.guest != nil {
		if err := w.guest.Quit(ctx); err != nil {
			return err
		}
		w.letGo()
	}
	if h := w.rec.Handle; h != nil {
		if err := w.m.Hypervisor.Destroy(ctx, *h); err != nil {
			return err
		}
	}
	if err := w.destroyStray(ctx); err != nil {
		return err
	}
	w.rec.Handle = nil
	if w.rec.Built && !w.wanted().Intent.Deleted {
		return nil // its console log stays
	}
	return w.removeGuestDir()
}

func (w *worker) destroyStray(ctx context.Context) error {
	handles, err := w.m.Hypervisor.List(ctx, w.m.GuestDir(w.id))
	if err != nil {
		return err
	}
	for _, h := range handles {
		if err := w.m.Hypervisor.Destroy(ctx, h); err != nil {
			return err
		}
	}
	return nil
}

// find looks for the guest of before: by its handle, or, when a start was cut
// off, in its folder.
func (w *worker) find(ctx context.Context, in cloud.Intent) error {
	r := &w.rec
	if err := w.findMemory(); err != nil {
		return err
	}
	if r.Handle == nil {
		if r.Step != "guest" {
			return nil
		}
		return w.adopt(ctx)
	}
	g, err := w.m.Hypervisor.Recover(ctx, *r.Handle)
	switch {
	case err == nil:
		w.guest = g
		w.log.Info("the guest was found again", "pid", r.Handle.PID)
		return nil
	case !cloud.Is(err, cloud.NotFound):
		return err
	case r.Saved: // it was saved, and the agent killed before it could say so
		r.Handle, r.Step, w.dirty = nil, "", true
		return w.unplug(ctx)
	case r.Handle.BootID != w.m.BootID:
		w.log.Info("the host was started anew; the guest went down with it")
		r.State, r.Step, r.Handle = cloud.InstancePreparing, "", nil
		return nil
	}
	w.log.Warn("the guest ended while the agent was away", "error", err)
	if !wantedGone(in, *r) {
		r.Halted, r.State, r.Error = in.Generation, cloud.InstanceStopped, cloud.Message(err)
	}
	r.Handle, r.Step, w.dirty = nil, "", true
	if err := w.unplug(ctx); err != nil {
		w.log.Warn("a port of the ended guest cannot be unplugged", "error", err)
	}
	return nil
}

// adopt takes on a guest that was started but not written down. One that does
// not run yet is ended; the step is done again.
func (w *worker) adopt(ctx context.Context) error {
	handles, err := w.m.Hypervisor.List(ctx, w.m.GuestDir(w.id))
	if err != nil || len(handles) == 0 {
		return err
	}
	g, err := w.m.Hypervisor.Recover(ctx, handles[0])
	if err != nil {
		return w.destroyStray(ctx)
	}
	if state, err := g.State(ctx); err != nil || state != hypervisor.StateRunning || len(handles) > 1 {
		return errors.Join(g.Close(), w.destroyStray(ctx))
	}
	h := g.Handle()
	w.guest, w.rec.Handle = g, &h
	return nil
}

// look asks the guest how it is.
func (w *worker) look(ctx context.Context, in cloud.Intent) error {
	state, err := w.guest.State(ctx)
	if err != nil {
		return err
	}
	r := &w.rec
	was, why := r.State, r.Error
	switch state {
	case hypervisor.StateShutdown:
		return w.end(ctx, in, "")
	case hypervisor.StateCrashed:
		return w.end(ctx, in, "the guest crashed: its hypervisor could not go on; see "+w.logPath())
	case hypervisor.StateGone:
		return w.end(ctx, in, "the guest's process ended unexpectedly: "+w.lastWords())
	case hypervisor.StatePaused, hypervisor.StateIOError:
		r.State = cloud.InstancePaused
	default:
		if r.State != cloud.InstancePreparing {
			r.State, r.Error = cloud.InstanceRunning, ""
		}
	}
	if state == hypervisor.StateIOError {
		r.Error = "the guest is stopped because the host could not write its disk: free some space on the host and start the guest again"
	}
	w.dirty = w.dirty || r.State != was || r.Error != why
	return nil
}

func (w *worker) logPath() string { return filepath.Join(w.m.GuestDir(w.id), hypervisor.FileLog) }

// lastWords are the last lines of the hypervisor's own log.
func (w *worker) lastWords() string {
	data, err := tail(w.logPath(), 16<<10)
	text := hypervisorsOwn(string(data))
	if err != nil || text == "" {
		if _, err := os.Stat(w.logPath()); err != nil {
			return "it left no log; it was killed, or the host ran out of memory"
		}
		return "its log is empty; it was killed, or the host ran out of memory"
	}
	return text
}

// hypervisorsOwn is what of a guest's log the hypervisor has said since it was
// started last, at most half a kilobyte of it.
func hypervisorsOwn(log string) string {
	if i := strings.LastIndex("\n"+log, "\n"+hypervisor.LogMark); i >= 0 {
		_, log, _ = strings.Cut(log[i:], "\n")
	}
	log = strings.TrimSpace(log)
	return log[max(0, len(log)-512):]
}
