package instance

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// Halt ends every guest that is written down, as when the host goes down: by its
// power button, and by force after the grace. What is wanted of the instances
// stays as it is, so the next Manager starts again those that should run. No
// Manager may be at work on the same folder.
func Halt(ctx context.Context, cfg Config) error {
	m := &Manager{Config: cfg.withDefaults()}
	if err := os.MkdirAll(m.Dir, 0o711); err != nil {
		return hostError("instance.Halt", err)
	}
	workers, err := m.load()
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	errs := make([]error, len(workers))
	for i, w := range workers {
		group.Add(1)
		go func() {
			defer group.Done()
			errs[i] = w.haltForNow(ctx)
		}()
	}
	group.Wait()
	return errors.Join(errs...)
}

// haltForNow ends the worker's guest and writes down that it is to be started
// again. The worker itself has stopped.
func (w *worker) haltForNow(ctx context.Context) error {
	if w.rec.Handle == nil {
		return w.destroyStray(ctx)
	}
	g, err := w.m.Hypervisor.Recover(ctx, *w.rec.Handle)
	switch {
	case cloud.Is(err, cloud.NotFound):
	case err != nil:
		if err := w.m.Hypervisor.Destroy(ctx, *w.rec.Handle); err != nil {
			return err
		}
	default:
		defer g.Close()
		w.press(ctx, g)
		if err := g.Quit(ctx); err != nil {
			return err
		}
	}
	w.rec.Handle, w.rec.State, w.rec.Step = nil, cloud.InstancePreparing, ""
	return w.write(true)
}

// press presses the guest's power button and waits until it heeds it or the
// grace is over.
func (w *worker) press(ctx context.Context, g hypervisor.Guest) {
	if err := g.Shutdown(ctx); err != nil {
		return
	}
	over, stop := w.m.After(w.m.ShutdownGrace)
	defer stop()
	look := time.NewTicker(time.Second) // events may have been missed before we listened
	defer look.Stop()
	for {
		state, err := g.State(ctx)
		if err != nil || state != hypervisor.StateRunning {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-over:
			return
		case <-look.C:
		case _, more := <-g.Events():
			if !more {
				return
			}
		}
	}
}
