package qemu

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
	"hearth/internal/driver/hypervisor/qmp"
)

// eventMigration is what QEMU reports of a guest's memory on its way.
const eventMigration = "MIGRATION"

// memoryFD is the name under which QEMU knows the file with the memory.
const memoryFD = "memory"

// loadPatience is how long a guest's memory may take to be read.
const loadPatience = 10 * time.Minute

// nudge wakes Save.
func (g *guest) nudge() {
	select {
	case g.moved <- struct{}{}:
	default:
	}
}

// Save implements hypervisor.Guest. The memory goes the way of a migration, to a file in place of another host
// (https://www.qemu.org/docs/master/devel/migration/main.html).
func (g *guest) Save(ctx context.Context) error {
	const op = "hypervisor.Save"
	path := filepath.Join(g.handle.Dir, hypervisor.FileMemory)
	state, err := g.State(ctx)
	if err != nil {
		return err
	}
	if state == hypervisor.StateGone {
		return g.missing(op)
	}
	done, err := g.resave(ctx, op, path)
	if err != nil {
		return err
	}
	if done {
		return g.Quit(ctx)
	}
	err = g.save(ctx, op, path+".new")
	if err == nil {
		err = hostError(op, g.handle.ID, os.Rename(path+".new", path))
	}
	if err == nil {
		err = hostError(op, g.handle.ID, syncDir(g.handle.Dir))
	}
	if err == nil {
		return g.Quit(ctx)
	}
	_ = os.Remove(path + ".new") // the failure above is what counts
	if state == hypervisor.StateRunning && !g.proc.gone() {
		err = errors.Join(err, g.Resume(context.WithoutCancel(ctx)))
	}
	return err
}

// resave goes on with a Save that was cut off after the memory was written: QEMU writes it once only. It is done if
// the file is there; else the guest must have run for a moment before it can be saved again.
func (g *guest) resave(ctx context.Context, op, path string) (done bool, err error) {
	var now struct {
		Status string `json:"status"`
	}
	if err := g.command(ctx, op, "query-status", &now); err != nil || now.Status != "postmigrate" {
		return false, err
	}
	if _, err := os.Stat(path); err == nil {
		return true, nil
	}
	return false, g.command(ctx, op, "cont", nil)
}

// save stops the guest and writes its memory to a file.
func (g *guest) save(ctx context.Context, op, path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return hostError(op, g.handle.ID, err)
	}
	defer f.Close()
	if err := g.command(ctx, op, "stop", nil); err != nil {
		return err
	}
	if err := g.ask(ctx, op, nil, "migrate-set-capabilities", capabilities("events"), nil); err != nil {
		return err
	}
	if err := g.ask(ctx, op, nil, "migrate-set-parameters", map[string]int64{"max-bandwidth": 1 << 40}, nil); err != nil {
		return err
	}
	if err := g.ask(ctx, op, f, "getfd", map[string]string{"fdname": memoryFD}, nil); err != nil {
		return err
	}
	if err := g.ask(ctx, op, nil, "migrate", map[string]string{"uri": "fd:" + memoryFD}, nil); err != nil {
		return err
	}
	if err := g.arrived(ctx, op); err != nil {
		_ = g.command(context.WithoutCancel(ctx), op, "migrate_cancel", nil) // it has ended already, most likely
		return err
	}
	return hostError(op, g.handle.ID, f.Sync())
}

// arrived waits until all of the memory is written.
func (g *guest) arrived(ctx context.Context, op string) error {
	for {
		var m migration
		if err := g.command(ctx, op, "query-migrate", &m); err != nil {
			return err
		}
		if done, err := m.ended(op, g.handle.ID); done || err != nil {
			return err
		}
		select {
		case <-g.moved:
		case <-g.proc.done:
		case <-ctx.Done():
			return cloud.E(op, cloud.Unavailable, "guest %s: its memory is not written yet: %w", g.handle.ID, context.Cause(ctx))
		}
	}
}

// migration is what query-migrate tells.
type migration struct {
	Status string `json:"status"`
	Error  string `json:"error-desc"`
}

func (m migration) ended(op, guest string) (bool, error) {
	switch m.Status {
	case "completed":
		return true, nil
	case "failed", "cancelled":
		return false, cloud.E(op, cloud.Internal, "guest %s: QEMU could not go on with its memory (%s): %s; the host's disk is full, most likely", guest, m.Status, m.Error)
	}
	return false, nil
}

func capabilities(names ...string) any {
	type capability struct {
		Name string `json:"capability"`
		On   bool   `json:"state"`
	}
	var out struct {
		All []capability `json:"capabilities"`
	}
	for _, n := range names {
		out.All = append(out.All, capability{n, true})
	}
	return out
}

// hasMemory refuses a guest that is to go on from a file that is not there.
func hasMemory(cfg hypervisor.Config) error {
	if !cfg.Saved {
		return nil
	}
	if _, err := os.Stat(filepath.Join(cfg.Dir, hypervisor.FileMemory)); err != nil {
		return cloud.E(opStart, cloud.NotFound, "guest %s was not saved: %w", cfg.ID, err)
	}
	return nil
}

// load has a QEMU that waits for it read a guest's memory. It ends by itself when it cannot.
func load(ctx context.Context, mon *qmp.Client, dir string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadPatience)
	defer cancel()
	f, err := os.Open(filepath.Join(dir, hypervisor.FileMemory))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := mon.Execute(ctx, "migrate-set-capabilities", capabilities("events"), nil); err != nil {
		return err
	}
	if err := mon.ExecuteWith(ctx, f, "getfd", map[string]string{"fdname": memoryFD}, nil); err != nil {
		return err
	}
	if err := mon.Execute(ctx, "migrate-incoming", map[string]string{"uri": "fd:" + memoryFD}, nil); err != nil {
		return err
	}
	for {
		var m migration
		if err := mon.Execute(ctx, "query-migrate", nil, &m); err != nil {
			return err
		}
		if done, err := m.ended(opStart, filepath.Base(dir)); done || err != nil {
			return err
		}
		select {
		case <-mon.Events():
		case <-mon.Done():
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func hostError(op, guest string, err error) error {
	if err == nil {
		return nil
	}
	return cloud.E(op, cloud.Internal, "guest %s: %w", guest, err)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
