package qemu

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// List implements hypervisor.Driver. It asks the kernel which processes have a guest's lock file as descriptor 3, and
// so needs no record and finds none that is stale.
func (d *Driver) List(ctx context.Context, root string) ([]hypervisor.Handle, error) {
	const op = "hypervisor.List"
	root, err := filepath.EvalSymlinks(root) // the kernel tells names without links
	if os.IsNotExist(err) {
		return nil, nil
	} else if err != nil {
		return nil, cloud.E(op, cloud.Internal, "%w", err)
	}
	pids, err := processes()
	if err != nil {
		return nil, cloud.E(op, cloud.Internal, "%w", err)
	}
	boot, err := bootID()
	if err != nil {
		return nil, cloud.E(op, cloud.Internal, "%w", err)
	}
	var found []hypervisor.Handle
	for _, pid := range pids {
		if pid == os.Getpid() {
			continue
		}
		if h, ok := guestOf(pid, root); ok {
			h.BootID = boot
			found = append(found, h)
		}
	}
	return found, ctx.Err()
}

// guestOf looks whether a process is a guest below root. Whatever cannot be read is none of ours, or gone.
func guestOf(pid int, root string) (hypervisor.Handle, bool) {
	link := "/proc/" + strconv.Itoa(pid) + "/fd/" + strconv.Itoa(roleStart)
	before, err := readStat(pid)
	if err != nil || before.dead() {
		return hypervisor.Handle{}, false
	}
	target, err := os.Readlink(link)
	if err != nil {
		return hypervisor.Handle{}, false
	}
	target = strings.TrimSuffix(target, " (deleted)")
	dir, name := filepath.Split(target)
	dir = filepath.Clean(dir)
	if name != hypervisor.FileLock || dir != root && !strings.HasPrefix(dir, strings.TrimSuffix(root, "/")+"/") {
		return hypervisor.Handle{}, false
	}
	id, err := readID(link)
	after, err2 := readStat(pid)
	if err != nil || err2 != nil || after.started != before.started {
		return hypervisor.Handle{}, false
	}
	return hypervisor.Handle{Driver: kindName, ID: id, Dir: dir, PID: pid, Started: before.started}, true
}

// readID reads the guest's id out of its lock file.
func readID(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, 256))
	return strings.TrimSpace(string(raw)), err
}
