package qemu

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hearth/internal/driver/hypervisor"
)

// keeperRounds is how often no guest must have been found before the keeper ends: one may
// be just starting.
const keeperRounds = 3

// keep sees to it that somebody keeps short the logs of the guests in root when this
// process is gone. The lock on the folder is the keeper's: it has it as descriptor 3.
func (d *Driver) keep(root string) {
	if len(d.options.Keeper) == 0 {
		return
	}
	d.keeper.Lock()
	defer d.keeper.Unlock()
	dir, err := os.Open(root)
	if err != nil {
		d.options.Log.Warn("nobody keeps the guests' logs short while Hearth is away", "err", err)
		return
	}
	defer dir.Close() // the keeper has a copy, and the lock with it
	if unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return // there is one
	}
	words := append(d.options.Keeper[1:len(d.options.Keeper):len(d.options.Keeper)], root, strconv.FormatInt(d.options.ConsoleMax, 10))
	cmd := exec.Command(d.options.Keeper[0], words...)
	cmd.Dir, cmd.ExtraFiles, cmd.SysProcAttr = "/", []*os.File{dir}, &syscall.SysProcAttr{Setsid: true}
	cmd.Env = append(d.options.KeeperEnv[:len(d.options.KeeperEnv):len(d.options.KeeperEnv)], "PATH=/usr/bin:/bin", "LC_ALL=C", "GOMAXPROCS=1", "GOGC=20")
	if err := cmd.Start(); err != nil {
		d.options.Log.Warn("nobody keeps the guests' logs short while Hearth is away", "err", err)
		return
	}
	go func() { _ = cmd.Wait() }() // so that it is no zombie; how it ended matters to nobody
}

// KeepLogs keeps short the logs of the guests that run in the folders of root: whenever
// one has grown to twice max, half of it goes, so that an agent that is there, and cuts at
// max, is never in its way. It looks at each tick and ends when there are no guests left.
// Its process outlives the agent's, as the guests do.
func KeepLogs(ctx context.Context, root string, max int64, tick <-chan time.Time) error {
	d := New(Options{})
	var last error
	for none := 0; none < keeperRounds; {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick:
		}
		guests, err := d.List(ctx, root)
		if none++; len(guests) > 0 || err != nil {
			none = 0
		}
		for _, h := range guests {
			for _, name := range []string{hypervisor.FileConsole, hypervisor.FileLog} {
				err = errors.Join(err, trim(filepath.Join(h.Dir, name), 2*max))
			}
		}
		last = err // the other guests' logs are to be kept short all the same
	}
	return last
}
