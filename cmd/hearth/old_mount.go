package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"hearth/internal/disk/mount"
)

// oldMountDisks and oldUmountDisks are the tools of ganeti-instance-image that look
// into an instance.
func oldMountDisks() oldTool {
	return oldTool{name: "mount-disks", takes: "INSTANCE", about: "Show the files of an instance's disk at /tmp/INSTANCE_root, for reading, until umount-disks; as any user", do: mountDisks}
}

func oldUmountDisks() oldTool {
	return oldTool{name: "umount-disks", takes: "INSTANCE", about: "End mount-disks, and remove the folder", do: umountDisks}
}

// instanceRoot is where the files of the instance that a line names are shown.
func (o *oldCall) instanceRoot() (name, dir string, err error) {
	line, err := parseOld(o.args, nil, nil)
	if err != nil {
		return "", "", err
	}
	if name, err = line.one("instance"); err != nil {
		return "", "", err
	}
	if filepath.Base(name) != name || name == "." || name == ".." {
		return "", "", fmt.Errorf("%q is no name of an instance", name)
	}
	return name, filepath.Join("/tmp", name+"_root"), nil
}

// mountDisks has a process of its own show the files, which goes on when this ends.
func mountDisks(o *oldCall) (today []string, err error) {
	name, dir, err := o.instanceRoot()
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("%w: 'umount-disks %s' ends what may be there", err, name)
	}
	if err := serveApart(o, name, dir); err != nil {
		return nil, errors.Join(err, os.Remove(dir))
	}
	fmt.Fprintf(o.out, "%s is now mounted at %s\n", name, dir)
	return []string{"hearth", "disk", "mount", name, dir}, nil
}

// serveApart starts 'hearth disk mount' in a session of its own, and returns when the
// files are there.
func serveApart(o *oldCall, name, dir string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	said, err := os.CreateTemp("", "hearth-mount-disks-") // a pipe would end with this process
	if err != nil {
		return err
	}
	defer said.Close()
	if err := os.Remove(said.Name()); err != nil {
		return err
	}
	child := exec.Command(self, "--data", o.cfg.Data, "--listen", o.cfg.Listen, "disk", "mount", "--", name, dir) //nolint:noctx // it outlives this process
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
	if _, err := said.Seek(0, io.SeekStart); err != nil {
		return errors.Join(failed, err)
	}
	why, err := io.ReadAll(io.LimitReader(said, 64<<10))
	return errors.Join(fmt.Errorf("%s: %w", why, failed), err)
}

func umountDisks(o *oldCall) (today []string, err error) {
	_, dir, err := o.instanceRoot()
	if err != nil {
		return nil, err
	}
	if err := mount.Unmount(o.ctx, dir, false); err != nil {
		return nil, err
	}
	return []string{"hearth", "image", "umount", dir}, os.Remove(dir)
}
