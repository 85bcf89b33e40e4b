// Package boottest boots an image as a cloud would, and watches what it does: under
// QEMU, with KVM where that is fast, as any user, on a network of its own that leads
// nowhere. The image is not changed: the guest writes to an overlay.
//
// What counts is seen from outside: texts on the serial line, the DHCP answer in the
// frames of its network, ssh's banner, a login with a key that its metadata gave it (a
// config drive and a NoCloud seed), and how it heeds the power button.
package boottest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hearth/internal/bake/vm"
	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/inspect"
	"hearth/internal/disk/ova"
	"hearth/internal/driver/hypervisor/qemu"
)

// Options says what is booted, and how.
type Options struct {
	Image    string
	Format   disk.Format   // that the image must be of; "": what its bytes say
	Kernel   string        // a file that is started without a boot loader; "": the loader's, or of NAME.ext4 the NAME.vmlinuz beside it
	Ramdisk  string        // for Kernel
	Append   string        // Kernel's command line; "": what the image's own menu has, and its root
	User     string        // who logs in; "": those that the image names, and usual ones
	Machine  string        // "pc" or "q35"; "": QEMU's own choice here
	CPU      string        // a model of QEMU's, such as qemu64; "": all that the accelerator gives
	Firmware string        // "bios" or "uefi"; "": bios, unless the image has only a partition for UEFI
	MemoryMB int           // 0: 1024
	Timeout  time.Duration // of the whole; 0: 3 minutes with KVM, 10 without
	Accel    string        // "auto" or "", "kvm", "tcg"
	CacheDir string        // where the measured speed of KVM is kept; "" measures each time
	Tell     func(Stage)   // is told each stage as it is reached; may be nil
}

// Run boots an image and reports. The error is for what kept the test from being
// made; an image that fails has a report that says so.
func Run(ctx context.Context, run *disk.Runner, opt Options) (*Report, error) {
	dir, err := os.MkdirTemp("", "hearth-boot-test-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path, err := inPackage(ctx, opt.Image, dir)
	if err != nil {
		return nil, err
	}
	layer, info, err := guestfs.Image(path)
	if err != nil {
		return nil, err
	}
	if opt.Format != "" && opt.Format != info.Format {
		return nil, fail("the image was named %s, but its bytes are %s", opt.Format, info.Format)
	}
	if what := info.NoDisk(); what != "" {
		return nil, fail("this is no disk: %s", what)
	}
	t := &test{opt: opt, run: run, dir: dir, layer: layer, size: info.VirtualSize}
	if err := t.prepare(ctx); err != nil {
		return nil, err
	}
	return t.boot(ctx)
}

// inPackage takes the disk out of an OVA; any other image is given back as it is.
func inPackage(ctx context.Context, image, dir string) (string, error) {
	is, err := ova.IsFile(image)
	if err != nil || !is {
		return image, err
	}
	p, file, err := ova.OpenFile(image)
	if err != nil {
		return "", err
	}
	defer file.Close()
	inner := filepath.Join(dir, "disk")
	return inner, p.Extract(ctx, 0, inner)
}

func fail(format string, args ...any) error {
	return &disk.Error{Kind: disk.Unsupported, Op: "boot test", Reason: fmt.Sprintf(format, args...)}
}

// test is one run.
type test struct {
	opt   Options
	run   *disk.Runner
	dir   string
	layer disk.Layer
	size  int64 // of the disk
	users []string
	hint  string // why it is unlikely to boot; "" if nothing is known

	binary, accel, version string
	keys                   keys
	report                 *Report
}

// spare is what the guest's disk has more than the image, as most flavors give it.
const spare = 1 << 30

// prepare finds QEMU, looks into the image, and makes what the guest is given.
func (t *test) prepare(ctx context.Context) error {
	caps, err := qemu.New(qemu.Options{Accel: t.opt.Accel, CacheDir: t.opt.CacheDir}).Probe(ctx)
	if err != nil {
		return err
	}
	t.binary, t.accel, t.version = caps.Binary, caps.Accel, caps.Version
	if t.opt.Machine == "" {
		t.opt.Machine = caps.Machine
	}
	if t.opt.Machine != "pc" && t.opt.Machine != "q35" {
		return fail("the machine %q is not known here; say pc or q35", t.opt.Machine)
	}
	if t.opt.CPU == "" {
		t.opt.CPU = vm.BestCPU(t.accel)
	}
	if t.opt.MemoryMB == 0 {
		t.opt.MemoryMB = 1024
	}
	if t.opt.Timeout == 0 {
		if t.opt.Timeout = 10 * time.Minute; t.accel == "kvm" {
			t.opt.Timeout = 3 * time.Minute
		}
	}
	if t.layer.Format != disk.Raw && t.layer.Format != disk.QCOW2 {
		copied := filepath.Join(t.dir, "image")
		if err := t.run.Convert(ctx, t.layer, disk.Target{Path: copied, Format: disk.QCOW2}, nil); err != nil {
			return err
		}
		t.layer = disk.Layer{Path: copied, Format: disk.QCOW2}
	}
	t.beside()
	t.look(ctx)
	if t.opt.Kernel != "" && t.opt.Firmware == "uefi" {
		return fail("a kernel that lies outside of the image is started by BIOS here")
	}
	if err := t.commandLine(ctx); err != nil {
		return err
	}
	if t.opt.Firmware != "bios" && t.opt.Firmware != "uefi" {
		return fail("the firmware %q is not known here; say bios or uefi", t.opt.Firmware)
	}
	if t.size == 0 {
		st, err := os.Stat(t.layer.Path)
		if err != nil {
			return err
		}
		t.size = st.Size()
	}
	if t.keys, err = newKeys(); err != nil {
		return err
	}
	return t.seeds()
}

// look reads in the image how it boots and who logs in. What cannot be read is not
// known: whether it boots is seen anyway.
func (t *test) look(ctx context.Context) {
	r, err := inspect.Image(ctx, t.run, t.layer.Path)
	if err != nil {
		r = &inspect.Report{}
	}
	for _, c := range r.Checks {
		if c.Level == inspect.Problem && t.hint == "" {
			t.hint = c.Text
		}
	}
	if t.opt.Firmware == "" {
		t.opt.Firmware = "bios"
		if slices.Equal(r.Firmware, []string{"uefi"}) {
			t.opt.Firmware = "uefi"
		}
	}
	if t.users = []string{t.opt.User}; t.opt.User != "" {
		return
	}
	t.users = nil
	if r.System != nil {
		t.users = append(t.namedUsers(ctx), r.System.ID)
	}
	t.users = append(t.users, "cloud-user", "ec2-user", "root")
	seen := map[string]bool{"": true}
	t.users = slices.DeleteFunc(t.users, func(u string) bool { was := seen[u]; seen[u] = true; return was })
}

// namedUsers are those that the image's own configuration names.
func (t *test) namedUsers(ctx context.Context) (list []string) {
	d, err := guestfs.Open(ctx, t.run, []disk.Layer{t.layer}, guestfs.ReadOnly)
	if err != nil {
		return nil
	}
	defer d.Close()
	tree, err := d.Tree()
	if err != nil {
		return nil
	}
	if b, err := tree.ReadFile("/etc/hearth-guest.conf", 64<<10); err == nil {
		for line := range strings.Lines(string(b)) {
			if user, ok := strings.CutPrefix(strings.TrimSpace(line), "user="); ok {
				list = append(list, user)
			}
		}
	}
	names, err := tree.Glob("/etc/cloud/cloud.cfg.d/*.cfg")
	if err != nil {
		names = nil
	}
	for _, name := range append(names, "/etc/cloud/cloud.cfg") {
		if b, err := tree.ReadFile(name, 256<<10); err == nil {
			list = append(list, defaultUser(string(b))...)
		}
	}
	return list
}

// defaultUser finds system_info's default_user in cloud-init's YAML, by its lines.
func defaultUser(text string) []string {
	_, rest, ok := strings.Cut(text, "default_user:")
	if !ok {
		return nil
	}
	for line := range strings.Lines(rest) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "name:"); ok {
			return []string{strings.Trim(strings.TrimSpace(name), `"'`)}
		}
	}
	return nil
}

// starts is how often a boot is begun whose QEMU crashes.
const starts = 3

// boot starts the guest and follows it to its end; again if QEMU crashes, which tells nothing
// of the image.
func (t *test) boot(ctx context.Context) (*Report, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, t.opt.Timeout, errTimeout)
	defer cancel()
	for n := 1; ; n++ {
		crash, err := t.once(ctx)
		if err != nil {
			return nil, err
		}
		if t.report.Crashes = n - 1; crash == "" || n == starts {
			return t.report, nil
		}
		if t.opt.Tell != nil {
			t.opt.Tell(Stage{Name: "QEMU", Seconds: t.report.Seconds, Result: Skipped, Text: "it crashed (" + crash + "), which tells nothing of the image: from the beginning"})
		}
	}
}

// once boots a fresh disk, and tells how QEMU crashed, if it did.
func (t *test) once(ctx context.Context) (crash string, err error) {
	overlay := filepath.Join(t.dir, "overlay")
	if err := os.Remove(overlay); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := t.run.CreateOverlay(ctx, overlay, t.layer, (t.size+spare)/512*512); err != nil {
		return "", err
	}
	t.report = t.newReport()
	g, err := t.start(ctx)
	if err != nil {
		return "", err
	}
	defer g.kill()
	f := &follower{test: t, guest: g, began: g.Began, lines: g.Console.Lines()}
	reason := f.follow(ctx)
	if err := context.Cause(ctx); err != nil && !errors.Is(err, errTimeout) {
		return "", err
	}
	g.kill() // so that the console is whole
	t.report.finish(f, reason, g.Console.Text())
	return g.Crash(), nil
}

// errTimeout is why a guest was given up.
var errTimeout = errors.New("the time for the test was over")
