package qemu

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"syscall"

	"golang.org/x/sys/unix"
)

// command is a process to be made.
type command struct {
	path  string
	words []string
	files []*os.File // descriptors 3 and up
	user  uint32     // 0: as this process
	kvm   bool       // it needs to open /dev/kvm
}

// spawn starts a process that does not end with this one: it has a session of its own, so no terminal's and no
// process group's signal reaches it, and nothing of its parent's environment.
func spawn(c command, output *os.File) (*process, error) {
	cmd := exec.Command(c.path, c.words...)
	cmd.Dir, cmd.Env = "/", []string{"PATH=/usr/bin:/bin", "LC_ALL=C"}
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = output, output, c.files
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if c.user != 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: c.user, Gid: c.user, Groups: kvmGroup(c.kvm)}
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p, err := hold(cmd.Process.Pid, 0, cmd)
	if err != nil {
		cmd.Process.Kill()
		cmd.Wait()
		return nil, err
	}
	return p, nil
}

// kvmGroup is the group that may open /dev/kvm; none if it is not needed, or is root's.
func kvmGroup(needed bool) []uint32 {
	info, err := os.Stat(kvmDevice)
	if !needed || err != nil || info.Mode()&0o060 != 0o060 {
		return nil
	}
	if gid := info.Sys().(*syscall.Stat_t).Gid; gid != 0 {
		return []uint32{gid}
	}
	return nil
}

// childLog is the log that QEMU's own words are appended to.
type childLog struct {
	*os.File
	start int64 // where this process's words begin
}

// openLog opens it and writes the line about a start.
func openLog(path, line string) (*childLog, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.WriteString(line)
	info, serr := f.Stat()
	if err = errors.Join(err, serr); err != nil {
		f.Close()
		return nil, err
	}
	return &childLog{File: f, start: info.Size()}, nil
}

// noise is what QEMU puts before each line: the time and its name.
var noise = regexp.MustCompile(`(?m)^(\d{4}-\d\d-\d\dT\S+Z )?(\S*qemu\S*: )?`)

// tail is what QEMU said since it was started, as one line; at most a kilobyte of it.
func (l *childLog) tail() string {
	raw := make([]byte, 1024)
	n, _ := l.ReadAt(raw, l.start) // short is fine
	text := noise.ReplaceAll(bytes.TrimSpace(raw[:n]), nil)
	return string(bytes.ReplaceAll(text, []byte("\n"), []byte("; ")))
}
