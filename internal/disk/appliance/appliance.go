// Package appliance works on file systems by way of a small guest: its kernel, Debian's,
// mounts XFS, btrfs and f2fs as real systems do, so every attribute, link and hole is right;
// the host only sees bytes, and needs no root, no mount and no loop device.
//
// The guest is a kernel and a ramdisk (see [Parts]) with one static program of ours
// (see inside). It has no network. Image files are its disks: those that are only read
// by way of an overlay that is thrown away, on which a journal may be replayed. QEMU
// runs in the sandbox of [disk.Runner]. A kernel that an image crashes ends the guest,
// and one that makes no progress is given up: both are an error with a sentence.
package appliance

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"hearth/internal/disk"
	"hearth/internal/disk/appliance/inside"
	"hearth/internal/disk/workdir"
)

// Appliance is how guests are started. It implements [disk.FileSystems].
type Appliance struct {
	Parts  func(ctx context.Context, kinds []string) (Parts, error) // gives those whose kernel mounts the kinds; is asked at their first use
	Binary string                                                   // QEMU's name; "": qemu-system-x86_64
	Accel  func(context.Context) string                             // gives "kvm" or "tcg"; nil: tcg
	Quiet  time.Duration                                            // a guest that makes no progress for so long is given up; 0: 3 minutes
	Limit  time.Duration                                            // of one run; 0: 12 hours
	Tell   func(files, bytes int64)                                 // is told how far a copy is; may be nil

	mu    sync.Mutex
	parts map[string]Parts
}

// memory is the guest's, in MiB.
const memory = 512

// maxStaged is how many bytes of files an edit may bring: they come in the ramdisk, and the
// kernel has each twice while it unpacks that.
const maxStaged = 128 << 20

// have gives the parts for file systems of some kinds.
func (a *Appliance) have(ctx context.Context, kinds []string) (Parts, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := strings.Join(kinds, " ")
	if p, ok := a.parts[key]; ok {
		return p, nil
	}
	p, err := a.Parts(ctx, kinds)
	if err != nil {
		return p, &disk.Error{Kind: disk.ToolMissing, Op: "start the appliance", Reason: "its kernel is not there", Err: err}
	}
	if a.parts == nil {
		a.parts = map[string]Parts{}
	}
	a.parts[key] = p
	return p, nil
}

// Copy implements [disk.FileSystems].
func (a *Appliance) Copy(ctx context.Context, from, to disk.FileSystem) (disk.FSUse, error) {
	return a.run(ctx, func(r *run) error {
		source, err := r.read(ctx, from)
		if err != nil {
			return err
		}
		target, err := r.write(ctx, to)
		r.job.Steps = []inside.Step{{Do: inside.Copy, Disk: source, To: target}}
		return err
	})
}

// Edit implements [disk.FileSystems].
func (a *Appliance) Edit(ctx context.Context, fs disk.FileSystem, dir, script string) error {
	_, err := a.run(ctx, func(r *run) error {
		list, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		room := int64(maxStaged)
		for _, e := range list {
			st, err := e.Info()
			if err != nil {
				return err
			}
			if room -= st.Size(); room < 0 {
				return &disk.Error{Kind: disk.TooBig, Op: "work in the appliance", Reason: fmt.Sprintf("its guest takes files of %d MiB in all, and these are larger: put large ones in from within the system that is on it", maxStaged>>20)}
			}
			b, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				return err
			}
			r.files = append(r.files, File{"job/" + e.Name(), 0o600, b})
		}
		target, err := r.write(ctx, fs)
		r.job.Steps = []inside.Step{{Do: inside.Edit, Disk: target, Script: strings.ReplaceAll(script, dir+"/", "/job/")}}
		return err
	})
	return err
}

// Grow implements [disk.FileSystems].
func (a *Appliance) Grow(ctx context.Context, fs disk.FileSystem) (disk.FSUse, error) {
	return a.run(ctx, func(r *run) error {
		target, err := r.write(ctx, fs)
		r.job.Steps = []inside.Step{{Do: inside.Grow, Disk: target}}
		return err
	})
}

// Shrink implements [disk.FileSystems].
func (a *Appliance) Shrink(ctx context.Context, fs disk.FileSystem) (disk.FSUse, error) {
	return a.run(ctx, func(r *run) error {
		target, err := r.write(ctx, fs)
		r.job.Steps = []inside.Step{{Do: inside.Shrink, Disk: target}}
		return err
	})
}

// run is one guest in the making.
type run struct {
	dir   string
	job   inside.Job
	files []File
	nodes []string
	disks int
	paths []string // that QEMU reads
	over  []string // that it writes
	open  *os.File // that it is handed open
	tool  *disk.Runner
}

// run starts a guest with the job that prepare makes, and waits for its end.
func (a *Appliance) run(ctx context.Context, prepare func(*run) error) (disk.FSUse, error) {
	dir, remove, err := workdir.Temp("", "hearth-appliance-")
	if err != nil {
		return disk.FSUse{}, err
	}
	defer remove()
	r := &run{dir: dir, tool: &disk.Runner{Timeout: cmp.Or(a.Limit, 12*time.Hour), Memory: 4 << 30}}
	if err := prepare(r); err != nil {
		return disk.FSUse{}, err
	}
	parts, err := a.have(ctx, r.job.Kinds())
	if err != nil {
		return disk.FSUse{}, err
	}
	b, err := json.Marshal(r.job)
	if err != nil {
		return disk.FSUse{}, err
	}
	r.files = append(r.files, File{strings.TrimPrefix(inside.JobFile, "/"), 0o600, b})
	ramdisk := filepath.Join(dir, "ramdisk")
	if err := join(ramdisk, parts.Ramdisk, Archive(r.files)); err != nil {
		return disk.FSUse{}, err
	}
	r.paths = append(r.paths, parts.Kernel, ramdisk)
	return a.guest(ctx, r, parts.Kernel, ramdisk)
}

// guest runs QEMU to its end.
func (a *Appliance) guest(ctx context.Context, r *run, kernel, ramdisk string) (disk.FSUse, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	quiet := cmp.Or(a.Quiet, 3*time.Minute)
	stalled := &disk.Error{Kind: disk.TimedOut, Op: "work in the appliance", Reason: fmt.Sprintf("its guest made no progress for %v and was given up: the file system is broken, or this machine is too busy", quiet)}
	watch := time.AfterFunc(quiet, func() { cancel(stalled) })
	defer watch.Stop()
	accel := "tcg"
	if a.Accel != nil {
		accel = a.Accel(ctx)
	}
	if accel == "kvm" {
		r.over = append(r.over, "/dev/kvm")
	}
	reports := &listener{heard: func(p inside.Report) {
		watch.Reset(quiet)
		if a.Tell != nil {
			a.Tell(p.Files, p.Bytes)
		}
	}}
	out, err := r.tool.Run(ctx, disk.Command{Name: cmp.Or(a.Binary, "qemu-system-x86_64"), Args: r.arguments(accel, kernel, ramdisk), Read: r.paths, Write: r.over, Disk: r.open, Stdout: reports})
	if cause := context.Cause(ctx); cause != nil && errors.Is(cause, stalled) {
		return disk.FSUse{}, stalled
	}
	return reports.verdict(out, err)
}

// listener takes the lines of the guest. Whatever else they are is left out.
type listener struct {
	heard func(inside.Report)
	part  []byte
	last  inside.Report
}

// maxLine bounds a line of the guest, in bytes.
const maxLine = 64 << 10

// Write implements io.Writer.
func (l *listener) Write(p []byte) (int, error) {
	for _, b := range p {
		if b != '\n' {
			if len(l.part) < maxLine {
				l.part = append(l.part, b)
			}
			continue
		}
		var r inside.Report
		if json.Unmarshal(bytes.TrimSpace(l.part), &r) == nil {
			l.last = r
			l.heard(r)
		}
		l.part = l.part[:0]
	}
	return len(p), nil
}

// verdict makes an answer of what the guest said last.
func (l *listener) verdict(out disk.Output, err error) (disk.FSUse, error) {
	const op = "work in the appliance"
	switch {
	case err != nil:
		return disk.FSUse{}, err
	case !l.last.Done:
		return disk.FSUse{}, &disk.Error{Kind: disk.Refused, Op: op, Reason: "the kernel of its guest ended before the work was done, as broken file systems may make it; it wrote last: " + tail(out.Stderr)}
	case l.last.Error != "" && l.last.Full:
		return disk.FSUse{}, &disk.Error{Kind: disk.TooBig, Op: op, Reason: l.last.Error}
	case l.last.Error != "":
		return disk.FSUse{}, &disk.Error{Kind: disk.Refused, Op: op, Reason: l.last.Error + kernelSays(out.Stderr)}
	}
	return disk.FSUse{Size: l.last.Size, Used: l.last.Used, Notes: l.last.Notes}, nil
}

// kernelSays gives the kernel's own words, if it said any.
func kernelSays(console string) string {
	if said := tail(console); said != "" {
		return " (the kernel: " + said + ")"
	}
	return ""
}

// tail is the last of a console, as one line of plain text.
func tail(s string) string {
	clean := strings.Map(func(r rune) rune {
		if r == '\n' {
			return ';'
		}
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, strings.TrimSpace(s))
	return clean[max(0, len(clean)-600):]
}
