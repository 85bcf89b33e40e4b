package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

const opStart = "hypervisor.Start"

// startPatience is how long a QEMU may take to its first word. It takes 20 ms; a starved host is granted more.
const startPatience = time.Minute

// Start implements hypervisor.Driver.
func (d *Driver) Start(ctx context.Context, cfg hypervisor.Config) (hypervisor.Guest, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	caps, err := d.Probe(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := makeDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	cfg.Dir = dir
	if err := hasMemory(cfg); err != nil {
		return nil, err
	}
	lock, err := takeLock(cfg)
	if err != nil {
		return nil, err
	}
	defer lock.Close() // the guest's process has a copy, and the lock with it
	user, release, err := d.users.take(cfg.ID)
	if err != nil {
		return nil, cloud.E(opStart, cloud.Internal, "guest %s: no user id for it: %w", cfg.ID, err)
	}
	defer release()
	words, passed := build(cfg, host{accel: caps.Accel, machine: caps.Machine,
		log: filepath.Join(dir, hypervisor.FileConsole), devices: blockDevices(cfg)})
	files, err := open(cfg, lock, passed, user)
	defer closeAll(files, lock)
	if err != nil {
		forgetIdentities(dir)
		return nil, cloud.E(opStart, cloud.KindOf(err), "guest %s: %s", cfg.ID, cloud.Message(err))
	}
	return d.launch(ctx, cfg, command{path: caps.Binary, words: words, files: files, user: user, kvm: caps.Accel == "kvm"})
}

// launch starts the process and waits until its monitor answers. If it does not, there is no process.
func (d *Driver) launch(ctx context.Context, cfg hypervisor.Config, c command) (hypervisor.Guest, error) {
	log, err := openLog(filepath.Join(cfg.Dir, hypervisor.FileLog), cfg.StartLine(time.Now(), c.path+" "+strings.Join(c.words, " ")))
	if err != nil {
		return nil, cloud.E(opStart, cloud.Internal, "guest %s: %w", cfg.ID, err)
	}
	defer log.Close()
	if cfg.Notice != "" {
		console, err := openLog(filepath.Join(cfg.Dir, hypervisor.FileConsole), cfg.Notice)
		if err != nil {
			return nil, cloud.E(opStart, cloud.Internal, "guest %s: %w", cfg.ID, err)
		}
		console.Close()
	}
	if err := ctx.Err(); err != nil {
		return nil, cloud.E(opStart, cloud.Unavailable, "guest %s: %w", cfg.ID, context.Cause(ctx))
	}
	boot, err := bootID()
	if err != nil {
		return nil, cloud.E(opStart, cloud.Internal, "guest %s: %w", cfg.ID, err)
	}
	p, err := spawn(c, log.File)
	if err != nil {
		return nil, cloud.E(opStart, cloud.Internal, "guest %s: QEMU could not be started: %w", cfg.ID, err)
	}
	ctx, cancel := context.WithTimeout(ctx, d.options.Patience)
	defer cancel()
	defer forgetIdentities(cfg.Dir) // it has read them when its monitor answers
	closeAll(c.files[1:], nil)      // so that the monitor's socket ends when QEMU does
	h := hypervisor.Handle{Driver: kindName, ID: cfg.ID, Dir: cfg.Dir, PID: p.pid, Started: p.started, BootID: boot}
	mon, err := dial(ctx, cfg.Dir)
	if err == nil && cfg.Saved {
		if err = load(ctx, mon, cfg.Dir); err != nil {
			mon.Close()
		}
	}
	if err == nil {
		g := newGuest(h, p, mon, d.options.Log, d.options.ConsoleMax)
		if err := g.forgetKeys(ctx, cfg); err != nil {
			return nil, errors.Join(err, g.Quit(ctx), g.Close())
		}
		return g, nil
	}
	return nil, errors.Join(failed(ctx, h, p, log, err), end(opStart, h, p))
}

// failed says why QEMU did not come up: in its own words if it had any.
func failed(ctx context.Context, h hypervisor.Handle, p *process, log *childLog, err error) error {
	if ctx.Err() != nil {
		return cloud.E(opStart, cloud.Unavailable, "guest %s: QEMU did not answer in time: %w", h.ID, err)
	}
	late := time.NewTimer(leavePatience)
	defer late.Stop()
	select {
	case <-p.done:
	case <-late.C:
		return cloud.E(opStart, cloud.Internal, "guest %s: whatever %d is, it is not a QEMU that speaks QMP: %w", h.ID, h.PID, err)
	}
	words := log.tail()
	if words == "" {
		words = "it said nothing"
	}
	return cloud.E(opStart, cloud.Internal, "guest %s: QEMU ended with status %d: %s", h.ID, p.code, words)
}

// makeDir makes the guest's directory and gives its name without links.
func makeDir(dir string) (string, error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return "", cloud.E(opStart, cloud.Invalid, "the guest's directory cannot be made: %w", err)
	}
	resolved, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", cloud.E(opStart, cloud.Invalid, "the guest's directory: %w", err)
	}
	return resolved, nil
}

// takeLock locks the guest's directory. The lock belongs to the open file, so it lives on in the guest's process,
// and ends with it.
func takeLock(cfg hypervisor.Config) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(cfg.Dir, hypervisor.FileLock), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, cloud.E(opStart, cloud.Internal, "guest %s: %w", cfg.ID, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, cloud.E(opStart, cloud.Conflict, "a guest runs in %s already, or is being started", cfg.Dir)
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = fmt.Fprintln(f, cfg.ID)
	}
	if err != nil {
		f.Close()
		return nil, cloud.E(opStart, cloud.Internal, "guest %s: %w", cfg.ID, err)
	}
	return f, nil
}

func blockDevices(cfg hypervisor.Config) map[string]bool {
	devices := map[string]bool{}
	look := func(path string) {
		if path == "" {
			return
		}
		if info, err := os.Stat(path); err == nil && info.Mode()&os.ModeDevice != 0 {
			devices[path] = true
		}
	}
	for _, d := range cfg.Disks {
		look(d.Path)
		if d.Backing != nil {
			look(d.Backing.Path)
		}
	}
	return devices
}
