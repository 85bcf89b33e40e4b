package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"hearth/internal/disk/mount"
)

// oldMountDisks and oldUmountDisks are the tools of ganeti-instance-image that look
// into an instance.
func oldMountDisks() oldTool {
	return oldTool{name: "mount-disks", takes: "[--rw] INSTANCE", about: "Show the files of an instance's disk at /tmp/INSTANCE_root until umount-disks, for reading or, of one that is off, to be changed; as any user", do: mountDisks}
}

func oldUmountDisks() oldTool {
	return oldTool{name: "umount-disks", takes: "INSTANCE", about: "End mount-disks, wait until what was changed is put back, and remove the folder", do: umountDisks}
}

// instanceRoot is where the files of the instance that a line names are shown, and
// which of some flags it has.
func (o *oldCall) instanceRoot(flags ...string) (name, dir string, with []string, err error) {
	line, err := parseOld(o.args, nil, flags)
	if err != nil {
		return "", "", nil, err
	}
	if name, err = line.one("instance"); err != nil {
		return "", "", nil, err
	}
	if filepath.Base(name) != name || name == "." || name == ".." {
		return "", "", nil, fmt.Errorf("%q is no name of an instance", name)
	}
	for _, f := range flags {
		if line.first(f) != "" {
			with = append(with, "--"+f)
		}
	}
	return name, filepath.Join("/tmp", name+"_root"), with, nil
}

// mountDisks has a process of its own show the files, which goes on when this ends.
func mountDisks(o *oldCall) (today []string, err error) {
	name, dir, with, err := o.instanceRoot("rw")
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("%w: 'umount-disks %s' ends what may be there; a folder of somebody else's is to be removed", err, name)
	}
	line := slices.Concat([]string{"disk", "mount"}, with, []string{"--", name, dir})
	if err := serveApart(o, line, dir); err != nil {
		return nil, errors.Join(err, os.Remove(dir))
	}
	fmt.Fprintf(o.out, "%s is now mounted at %s\n", name, dir)
	return append([]string{"hearth"}, slices.DeleteFunc(line, func(w string) bool { return w == "--" })...), nil
}

// mountDisksLog is the file in the folder, beneath what is mounted on it, that the
// process that shows the files writes to, and has locked as long as it lives.
const mountDisksLog = ".hearth-mount-disks.log"

// serveApart starts a command of hearth that mounts something on a folder, in a session
// of its own, and returns when the files are there.
func serveApart(o *oldCall, line []string, dir string) (err error) {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	said, err := os.OpenFile(filepath.Join(dir, mountDisksLog), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600) // a pipe would end with this process
	if err != nil {
		return err
	}
	defer said.Close()
	if err := unix.Flock(int(said.Fd()), unix.LOCK_EX); err != nil {
		return err
	}
	child := exec.Command(self, append([]string{"--data", o.cfg.Data, "--listen", o.cfg.Listen}, line...)...) //nolint:noctx // it outlives this process
	child.Stderr, child.SysProcAttr = said, &syscall.SysProcAttr{Setsid: true}
	ready, err := child.StdoutPipe()
	if err != nil {
		return err
	}
	if err := child.Start(); err != nil {
		return err
	}
	if _, err := bufio.NewReader(ready).ReadString('\n'); err == nil {
		return child.Process.Release()
	}
	failed := child.Wait()
	why, err := saidOf(said)
	if last := failure(why); last != nil {
		failed = last
	}
	return errors.Join(failed, err, os.Remove(said.Name()))
}

// saidOf reads a log from its begin.
func saidOf(f *os.File) (string, error) {
	b, err := io.ReadAll(io.LimitReader(io.NewSectionReader(f, 0, 1<<20), 64<<10))
	return strings.TrimSpace(string(b)), err
}

// failure is the error that a process of hearth ended with, by what it said; nil for none.
func failure(said string) error {
	if _, why, failed := strings.Cut("\n"+said, "\nhearth: "); failed {
		return errors.New(why)
	}
	return nil
}

// umountDisks ends what mountDisks began, and gives the error if what was changed could
// not be put back.
func umountDisks(o *oldCall) (today []string, err error) {
	_, dir, _, err := o.instanceRoot()
	if err != nil {
		return nil, err
	}
	if err := mount.Unmount(o.ctx, dir, false); err != nil && !ended(dir) {
		return nil, err
	}
	return []string{"hearth", "image", "umount", dir}, errors.Join(lastOf(dir, o.progress), os.Remove(dir))
}

// ended tells whether the process that showed files in a folder is gone, and left its log:
// it was unmounted in another way, as by 'hearth image umount', or broke off.
func ended(dir string) bool {
	said, err := os.Open(filepath.Join(dir, mountDisksLog))
	if err != nil {
		return false
	}
	defer said.Close()
	return unix.Flock(int(said.Fd()), unix.LOCK_SH|unix.LOCK_NB) == nil
}

// lastOf waits for the end of the process that showed files in a folder, and tells what
// it said.
func lastOf(dir string, progress io.Writer) error {
	said, err := os.Open(filepath.Join(dir, mountDisksLog))
	if err != nil {
		return err
	}
	defer said.Close()
	if err := unix.Flock(int(said.Fd()), unix.LOCK_SH); err != nil {
		return err
	}
	text, err := saidOf(said)
	if err = errors.Join(err, os.Remove(said.Name())); err != nil {
		return err
	}
	if err := failure(text); err != nil {
		return err
	}
	if !strings.Contains(text, unmountedLine) {
		return fmt.Errorf("the process that showed the files was killed: its copy of the disk stays in the folder for temporary files, and what was changed in that is not put back ('hearth disk replace' does so, after 'openstack server unlock'). It had said:\n%s", text)
	}
	fmt.Fprintln(progress, text)
	return nil
}
