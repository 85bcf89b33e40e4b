// Package hooks runs the scripts of a folder over a guest's tree, as run-parts of
// Debian would, each in namespaces of its own with a time limit.
//
// A hook is root of its own user namespace, the first process of its own process
// namespace and cannot mount anything for others: at its end, or when its time is
// over, the kernel ends whatever it left running, and nothing stays mounted.
package hooks

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Skipped is a file of the folder that is not run.
type Skipped struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// List finds what is to be run in a folder, in the order of the names, by the rule
// of run-parts(8): executable files whose names have only letters, digits,
// underscores and hyphens. What is skipped is named with the reason. A folder that
// is not there has nothing.
func List(dir string) (run []string, skipped []Skipped, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		info, err := os.Stat(filepath.Join(dir, e.Name()))
		switch {
		case err != nil:
			skipped = append(skipped, Skipped{e.Name(), "it is a link to nowhere"})
		case info.IsDir():
		case !goodName(e.Name()):
			skipped = append(skipped, Skipped{e.Name(), "its name has more than letters, digits, _ and -"})
		case !info.Mode().IsRegular() || info.Mode()&0o111 == 0:
			skipped = append(skipped, Skipped{e.Name(), "it is not executable"})
		default:
			run = append(run, filepath.Join(dir, e.Name()))
		}
	}
	return run, skipped, nil
}

func goodName(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-')
	})
}

// Job is one script.
type Job struct {
	Path  string
	Args  []string
	Env   []string // all of its environment but PATH, unless that is here
	Dir   string   // where it runs; "": /
	Limit time.Duration
	// Root lets a script of root's be root of the host too: for definitions that make
	// devices and mount them. Its processes and mounts still end with it.
	Root bool
	// Alone shows the script nothing of this host but its programs, to be read, and Dir,
	// which is then not "": a link within a guest's tree that names a file of the host
	// leads nowhere.
	Alone  bool
	At     string    // with Alone, the folder in Dir where the script begins; "": Dir
	Stdin  io.Reader // nil: none
	Stdout io.Writer // nil: with the messages
	Log    io.Writer // is given all messages as they come; may be nil
}

const (
	defaultLimit = 10 * time.Minute
	tailLines    = 50
	toolPath     = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// Failed is a script that said no, or was ended; Tail has its last lines.
type Failed struct {
	Name string
	Why  string
	Tail string
}

// Error says why, with the last 50 lines the script wrote.
func (f *Failed) Error() string {
	if f.Tail == "" {
		return fmt.Sprintf("%s %s; it wrote nothing", f.Name, f.Why)
	}
	return fmt.Sprintf("%s %s; its last lines:\n%s", f.Name, f.Why, f.Tail)
}

// Run runs a script to its end. What it says goes to Log; a failure is a *[Failed].
func Run(ctx context.Context, j Job) error {
	limit := j.Limit
	if limit == 0 {
		limit = defaultLimit
	}
	timed, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	last := &tail{to: j.Log}
	err := start(timed, j, last)
	var why string
	var exit *exec.ExitError
	switch {
	case err == nil && timed.Err() == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case timed.Err() != nil:
		why = fmt.Sprintf("did not end within %s and was ended", limit)
	case errors.As(err, &exit):
		why = "failed with " + exit.String()
	default:
		return fmt.Errorf("start %s: %w", j.Path, err)
	}
	return &Failed{filepath.Base(j.Path), why, last.String()}
}

// enter gives the script a /proc of its own, where that may be, and becomes it.
const enter = `mount -t proc proc /proc 2>/dev/null; exec "$0" "$@"`

// enterAlone puts a root of its own together: the host's programs, to be read, some
// files of /etc that no program does without and nobody keeps secret, empty folders
// to write in, and the script's folder at its own path. It becomes the script there.
// What the kernel does not let it do ends it: a script is never run with less.
const enterAlone = `set -e
root=$1 dir=$2 at=$3; shift 3
mkdir -p "$root"
mount -t tmpfs -o mode=755 none "$root"
for d in usr bin sbin lib lib32 lib64 libx32; do
  if [ -L "/$d" ]; then cp -P "/$d" "$root/$d"
  elif [ -d "/$d" ]; then mkdir "$root/$d"; mount --rbind "/$d" "$root/$d"; mount -o remount,bind,ro "$root/$d"; fi
done
mkdir -p "$root/etc" "$root/proc" "$root/dev" "$root/tmp" "$root/var/tmp" "$root/run" "$root/root" "$root$dir"
chmod 1777 "$root/tmp" "$root/var/tmp"
for f in alternatives ld.so.cache passwd group nsswitch.conf resolv.conf hosts protocols services ssl/certs mke2fs.conf localtime; do
  if [ -d "/etc/$f" ]; then mkdir -p "$root/etc/$f"; cp -RP "/etc/$f/." "$root/etc/$f/"
  elif [ -e "/etc/$f" ]; then cp "/etc/$f" "$root/etc/$f"; fi
done
for d in null zero full random urandom; do : > "$root/dev/$d"; mount --bind "/dev/$d" "$root/dev/$d"; done
ln -s /proc/self/fd "$root/dev/fd"
mount --rbind "$dir" "$root$dir"
mount -t proc proc "$root/proc"
cd "$root"
pivot_root . .
umount -l .
cd "$at"
exec "$@"`

// begin is the command line of a script.
func (j Job) begin() []string {
	if !j.Alone {
		return append([]string{"-c", enter, j.Path}, j.Args...)
	}
	return append([]string{"-c", enterAlone, "sh", filepath.Join(j.Dir, ".root"), j.Dir, cmp.Or(j.At, j.Dir), j.Path}, j.Args...)
}

func start(ctx context.Context, j Job, last *tail) error {
	cmd := exec.CommandContext(ctx, "/bin/sh", j.begin()...)
	cmd.Dir, cmd.Env = j.Dir, append([]string{"PATH=" + toolPath}, j.Env...)
	if cmd.Dir == "" {
		cmd.Dir = "/"
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = j.Stdin, last, last
	if j.Stdout != nil {
		cmd.Stdout = j.Stdout
	}
	cmd.SysProcAttr = namespaces(j.Root)
	cmd.WaitDelay = 2 * time.Second // for what a script outside of them holds open
	return cmd.Run()
}

// namespaces are those of a script. Root maps all ids, others the one they have.
func namespaces(root bool) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWIPC, Unshareflags: syscall.CLONE_NEWNS}
	uid, gid := os.Geteuid(), os.Getegid()
	if root && uid == 0 {
		return a
	}
	a.Cloneflags |= syscall.CLONE_NEWUSER
	a.Unshareflags = 0
	size := 1
	if uid == 0 {
		size = 1<<31 - 1
	}
	a.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: size}}
	a.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: gid, Size: size}}
	a.GidMappingsEnableSetgroups = uid == 0
	return a
}

// tail keeps the last lines of what it is given, and hands it on.
type tail struct {
	mu sync.Mutex
	to io.Writer
	b  []byte
}

const maxTail = 64 << 10

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if len(t.b) > 2*maxTail {
		t.b = append([]byte(nil), t.b[len(t.b)-maxTail:]...)
	}
	if t.to != nil {
		return t.to.Write(p)
	}
	return len(p), nil
}

// String gives the last lines, at most 50.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := bytes.Split(bytes.TrimRight(t.b, "\n"), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-tailLines):], []byte("\n")))
}
