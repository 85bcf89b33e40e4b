package installer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"hearth/internal/bake/vm"
	"hearth/internal/disk"
	"hearth/internal/driver/hypervisor/qemu"
	"hearth/internal/driver/hypervisor/qmp"
)

// Options says what is installed, and on what.
type Options struct {
	Media   *Media
	Kind    string // of the answers
	Answers []byte
	Disk    string        // an empty raw disk, which the guest writes to
	Work    string        // a folder for files of the run
	Accel   string        // "auto" or "", "kvm", "tcg"
	Idle    time.Duration // without anything said or written, after which it is given up; 0: 5 minutes with KVM, 20 without
	Say     func(string)  // is told each line of the serial line, and beginnings of some; may be nil
	Wrote   func(int64)   // is told how many bytes the guest has written so far; may be nil
}

// Result says what ran.
type Result struct {
	Machine, CPU, Accel, QEMU string
	Took                      time.Duration
	Console                   string // all that was on the serial line
}

// sampling is how often progress is looked at: nothing tells of it by itself.
const sampling = 5 * time.Second

// Run lets the installer do its work. It returns when the guest has switched itself off or
// would start anew. The error of an installation that stopped has what was said last.
func Run(ctx context.Context, opt Options) (*Result, error) {
	caps, err := qemu.New(qemu.Options{Accel: opt.Accel}).Probe(ctx)
	if err != nil {
		return nil, err
	}
	k := kinds()[opt.Kind]
	r := &running{opt: opt, kind: k, res: &Result{Machine: caps.Machine, CPU: vm.BestCPU(caps.Accel), Accel: caps.Accel, QEMU: caps.Version}}
	if r.opt.Idle == 0 {
		if r.opt.Idle = 20 * time.Minute; caps.Accel == "kvm" {
			r.opt.Idle = 5 * time.Minute
		}
	}
	if err := r.prepare(); err != nil {
		return nil, err
	}
	if r.guest, err = vm.Start(ctx, caps.Binary, nil, r.arguments); err != nil {
		return nil, fmt.Errorf("QEMU did not start: %w", err)
	}
	defer r.guest.Kill()
	why := r.follow(ctx)
	r.guest.Kill() // so that the console is whole
	r.res.Took, r.res.Console = time.Since(r.guest.Began), r.guest.Console.Text()
	if why != nil {
		return r.res, fmt.Errorf("the installer: %w; the last that it said: %s", why, tail(r.res.Console, 12))
	}
	return r.res, nil
}

// running is one installation.
type running struct {
	opt   Options
	kind  kind
	res   *Result
	guest *vm.Guest

	last  string    // of the serial line
	moved time.Time // when something was said or written
	said  int64
	wrote int64
	down  bool // the guest itself ended it
}

// prepare writes the files that QEMU is given.
func (r *running) prepare() error {
	ramdisk := r.opt.Media.Ramdisk
	if r.kind.ramdiskName != "" {
		ramdisk = withFile(ramdisk, r.kind.ramdiskName, r.opt.Answers)
	}
	err := errors.Join(os.WriteFile(r.file("kernel"), r.opt.Media.Kernel, 0o644), os.WriteFile(r.file("ramdisk"), ramdisk, 0o644))
	if r.kind.label != "" {
		err = errors.Join(err, disk.WriteDrive(r.file("answers"), r.kind.label, r.kind.files(r.opt.Answers)))
	}
	return err
}

func (r *running) file(name string) string { return filepath.Join(r.opt.Work, "installer-"+name) }

// arguments makes QEMU's command line. The guest's network leads wherever this user's does:
// an installer fetches packages.
func (r *running) arguments(l *vm.Line, serial, monitor int) error {
	l.Base(r.res.Machine, r.res.Accel, r.res.CPU, r.kind.memoryMB, serial, monitor)
	l.Add("-name", "guest=hearth-installer", "-action", "reboot=shutdown,shutdown=poweroff,panic=none",
		"-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile=")
	for _, f := range []struct{ flag, name string }{{"-kernel", "kernel"}, {"-initrd", "ramdisk"}} {
		in, err := os.Open(r.file(f.name))
		if err != nil {
			return err
		}
		l.Add(f.flag, fmt.Sprintf("/proc/self/fd/%d", l.FD(in)))
	}
	l.Add("-append", Arguments(r.opt.Kind, r.opt.Media.Web))
	if err := l.Block("disk", "raw", r.opt.Disk, os.O_RDWR, nil); err != nil {
		return err
	}
	l.Add("-device", "virtio-blk-pci,drive=disk")
	if r.kind.label != "" {
		if err := l.Block("answers", "raw", r.file("answers"), os.O_RDONLY, nil); err != nil {
			return err
		}
		l.Add("-device", "virtio-blk-pci,drive=answers")
	}
	if r.opt.Media.ISO == "" {
		return nil
	}
	l.Add("-device", "ide-cd,drive=cdrom")
	return l.Block("cdrom", "raw", r.opt.Media.ISO, os.O_RDONLY, nil)
}

// Arguments are those of the kernel of an installer of a kind; web is the folder that it came
// from, or "".
func Arguments(kind, web string) string { return kinds()[kind].arguments(web) }

// follow waits for the end.
func (r *running) follow(ctx context.Context) error {
	look := time.NewTicker(sampling)
	defer look.Stop()
	r.moved = time.Now()
	lines, events := r.guest.Console.Lines(), r.guest.Mon.Events()
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				lines = nil
				continue
			}
			if err := r.read(line); err != nil {
				return err
			}
		case e, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			r.event(e)
			if e.Name == "GUEST_PANICKED" {
				return errors.New("its kernel panicked")
			}
		case <-r.guest.Exited():
			return r.ended()
		case <-look.C:
			if err := r.look(ctx); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// read looks at a line.
func (r *running) read(line string) error {
	if line = strings.TrimSpace(line); line == "" {
		return nil
	}
	r.last = line
	if r.opt.Say != nil {
		r.opt.Say(line)
	}
	return stopped(line)
}

// event notes that the guest went down by itself, or wanted to start anew.
func (r *running) event(e qmp.Event) {
	var data struct {
		Guest bool `json:"guest"`
	}
	if e.Name == "SHUTDOWN" && json.Unmarshal(e.Data, &data) == nil && data.Guest {
		r.down = true
	}
}

// look samples what the guest has done. QEMU's going away is told elsewhere.
func (r *running) look(ctx context.Context) error {
	var stats []struct {
		Node  string `json:"node-name"`
		Stats struct {
			Wrote int64 `json:"wr_bytes"`
			Read  int64 `json:"rd_bytes"`
		} `json:"stats"`
	}
	if err := r.guest.Mon.Execute(ctx, "query-blockstats", nil, &stats); err != nil {
		return nil //nolint:nilerr // the guest is going
	}
	var wrote, moved int64
	for _, s := range stats {
		moved += s.Stats.Wrote + s.Stats.Read
		if s.Node == "disk" {
			wrote = s.Stats.Wrote
		}
	}
	if said := r.guest.Console.Count() + moved; said != r.said || wrote != r.wrote {
		r.said, r.wrote, r.moved = said, wrote, time.Now()
		if r.opt.Wrote != nil {
			r.opt.Wrote(wrote)
		}
	}
	if quiet := time.Since(r.moved); quiet > r.opt.Idle {
		return fmt.Errorf("nothing was said, read or written for %s: it waits for something that the answers lack, or hangs", quiet.Round(time.Second))
	}
	return nil
}

// ended is when QEMU's process is gone.
func (r *running) ended() error {
	for e := range r.guest.Mon.Events() {
		r.event(e)
	}
	if !r.down {
		return errors.New(r.guest.Ended())
	}
	return nil
}

// tail is the last lines of a text, in one.
func tail(text string, n int) string {
	var lines []string
	for l := range strings.Lines(text) {
		if l = strings.TrimSpace(l); l != "" {
			lines = append(lines, l)
		}
	}
	return strings.Join(lines[max(0, len(lines)-n):], " | ")
}
