// Package guesttest runs a package's tests in a guest under QEMU whose kernel has
// what this host's may lack: device-mapper, NFS. The guest is Debian's cloud kernel
// and an initramfs of the packages named, with busybox for a system; it is made
// anew by every run, from apt's archive.
package guesttest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Guest is what runs the tests.
type Guest struct {
	Packages []string          // of Debian, beside busybox: with all that they are linked with, for nothing is resolved
	Programs []string          // of this host, by their paths, with the libraries that they are linked with
	Modules  []string          // of the kernel, loaded in this order, each after those that it needs; those that it has built in are left out
	Built    []string          // modules that are not of Debian's kernel, by the paths of their files, loaded after those
	Debs     []string          // packages that apt does not know, by the paths of their files
	Files    map[string]string // text by absolute path
	Copies   map[string]string // files and folders of this host, by their absolute paths there
	Disks    []int64           // sizes in bytes of blank disks: /dev/vda, /dev/vdb …
	MemoryMB int               // 0 for 768
	CPUs     int               // 0 for 1
	NIC      string            // as QEMU's -nic has it; "" for none
	Setup    string            // commands of a shell, run before the tests
	Tests    string            // what -test.run is given; "" for all
	Limit    time.Duration     // how long it may take; 0 for 14 minutes
}

// The modules of the disks, which every guest has.
var virtio = []string{"virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "virtio_blk"}

const begin = `#!/bin/busybox sh
export PATH=/sbin:/usr/sbin:/bin:/usr/bin:/applets HOME=/ TMPDIR=/tmp HEARTH_IN_GUEST=1
/bin/busybox mkdir -p /proc /sys /dev /tmp /run /var/lib /etc /root /applets
/bin/busybox --install -s /applets
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev; mount -t tmpfs tmp /tmp; mount -t tmpfs run /run
mkdir -p /run/lock
for m in $(cat /modules); do insmod /mods/$m.ko; done
`

const end = `
cd /tmp; /package.test -test.v -test.timeout %s %s
echo "hearth: the tests ended with $?"
poweroff -f
`

// ended is what the guest says when all tests passed.
const ended = "hearth: the tests ended with 0"

// limit is how long a guest may take: TCG on a machine that is busy with much else
// is slow.
const limit = 14 * time.Minute

// Run runs the tests of the package in the working directory in a guest, and gives
// what they printed. It fails the test where they fail, or say nothing of the tests
// that want names.
func Run(t *testing.T, g Guest, want ...string) string {
	t.Helper()
	dir := t.TempDir()
	kernel, root := g.unpack(t, dir)
	Command(t, "go", "test", "-c", "-o", filepath.Join(root, "package.test"), ".")
	run := ""
	if g.Tests != "" {
		run = "-test.run '" + g.Tests + "'"
	}
	write(t, filepath.Join(root, "init"), begin+g.Setup+fmt.Sprintf(end, cmp.Or(g.Limit, limit)-time.Minute, run), 0o755)
	for path, text := range g.Files {
		write(t, filepath.Join(root, path), text, 0o644)
	}
	initrd := filepath.Join(dir, "initrd")
	Command(t, "sh", "-c", "cd '"+root+"' && find . | cpio --quiet -o -H newc > '"+initrd+"'")
	out := g.boot(t, dir, kernel, initrd)
	for _, w := range append([]string{ended}, want...) {
		if !strings.Contains(out, w) {
			t.Fatalf("%q is not said in:\n%s", w, out)
		}
	}
	return out
}

// boot runs the guest to its end, and gives what it wrote to its console.
func (g Guest) boot(t *testing.T, dir, kernel, initrd string) string {
	t.Helper()
	// no_timer_check: a kernel that gets no processor while it counts the timer's ticks panics.
	args := []string{"-M", "pc", "-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max", "-smp", strconv.Itoa(cmp.Or(g.CPUs, 1)), "-m", strconv.Itoa(cmp.Or(g.MemoryMB, 768)), "-display", "none", "-serial", "stdio", "-no-reboot",
		"-nic", cmp.Or(g.NIC, "none"), "-kernel", kernel, "-initrd", initrd, "-append", "console=ttyS0 panic=-1 quiet mitigations=off no_timer_check"}
	for i, size := range g.Disks {
		path := filepath.Join(dir, fmt.Sprintf("disk%d", i))
		write(t, path, "", 0o600)
		if err := os.Truncate(path, size); err != nil {
			t.Fatal(err)
		}
		args = append(args, "-drive", "if=virtio,format=raw,cache=unsafe,discard=unmap,file="+path)
	}
	ctx, cancel := context.WithTimeout(t.Context(), cmp.Or(g.Limit, limit))
	defer cancel()
	var out bytes.Buffer
	said := io.Writer(&out)
	if testing.Verbose() { // so that one sees how far it is
		said = io.MultiWriter(&out, os.Stderr)
	}
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", args...)
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Run(); err != nil {
		t.Fatalf("the guest ended with %v; it wrote:\n%s", err, out.String())
	}
	return out.String()
}

// Command runs a program that must succeed, and gives what it printed.
func Command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// unpack makes the guest's tree of Debian's packages, and gives its kernel.
func (g Guest) unpack(t *testing.T, dir string) (kernel, root string) {
	t.Helper()
	debs, system := filepath.Join(dir, "debs"), filepath.Join(dir, "kernel")
	root = filepath.Join(dir, "root")
	for _, d := range []string{debs, system, filepath.Join(root, "mods")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	image := ""
	for line := range strings.Lines(Command(t, "apt-cache", "depends", "--no-recommends", "--no-suggests", "linux-image-cloud-amd64")) {
		if _, name, ok := strings.Cut(strings.TrimSpace(line), "Depends: linux-image-"); ok {
			image = "linux-image-" + name
		}
	}
	download := exec.Command("apt-get", append([]string{"download", "-q", image, "busybox-static"}, g.Packages...)...)
	download.Dir = debs
	if said, err := download.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	all, err := filepath.Glob(filepath.Join(debs, "*.deb"))
	if err != nil {
		t.Fatal(err)
	}
	for _, deb := range append(all, g.Debs...) {
		to := root
		if strings.HasPrefix(filepath.Base(deb), "linux-image-") {
			to = system
		}
		Command(t, "dpkg-deb", "-x", deb, to)
	}
	for _, spare := range []string{"usr/share", "usr/lib/x86_64-linux-gnu/gconv"} {
		if err := os.RemoveAll(filepath.Join(root, spare)); err != nil {
			t.Fatal(err)
		}
	}
	kernels, err := filepath.Glob(filepath.Join(system, "boot", "vmlinuz-*"))
	if err != nil || len(kernels) != 1 {
		t.Fatalf("kernels: %v, %v", kernels, err)
	}
	g.modules(t, system, root)
	g.programs(t, root)
	for to, from := range g.Copies {
		to = filepath.Join(root, to)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		Command(t, "cp", "-rL", from, to)
	}
	return kernels[0], root
}

// programs copies those of this host, each with what ldd says of it.
func (g Guest) programs(t *testing.T, root string) {
	t.Helper()
	for _, program := range g.Programs {
		files := []string{program}
		for word := range strings.FieldsSeq(Command(t, "ldd", program)) {
			if strings.HasPrefix(word, "/") {
				files = append(files, word)
			}
		}
		for _, path := range files {
			to := filepath.Join(root, path)
			if _, err := os.Stat(to); err == nil {
				continue // a package has brought it
			}
			if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
				t.Fatal(err)
			}
			Command(t, "cp", "-L", path, to)
		}
	}
}

// modules copies those that the kernel has as modules, with what they need, and lists them.
func (g Guest) modules(t *testing.T, system, root string) {
	t.Helper()
	releases, err := filepath.Glob(filepath.Join(system, "lib", "modules", "*"))
	if err != nil || len(releases) != 1 {
		t.Fatalf("the kernel's modules: %v, %v", releases, err)
	}
	release := filepath.Base(releases[0])
	Command(t, "depmod", "-b", system, release)
	var have []string
	for _, m := range append(append([]string{}, virtio...), g.Modules...) {
		// Each line is "insmod PATH OPTIONS", or "builtin NAME".
		for line := range strings.Lines(Command(t, "modprobe", "-C", "/dev/null", "-d", system, "-S", release, "--show-depends", m)) {
			words := strings.Fields(line)
			name := strings.TrimSuffix(filepath.Base(words[1]), ".ko")
			if words[0] != "insmod" || slices.Contains(have, name) {
				continue
			}
			Command(t, "cp", words[1], filepath.Join(root, "mods", name+".ko"))
			have = append(have, name)
		}
	}
	for _, path := range g.Built {
		Command(t, "cp", path, filepath.Join(root, "mods"))
		have = append(have, strings.TrimSuffix(filepath.Base(path), ".ko"))
	}
	write(t, filepath.Join(root, "modules"), strings.Join(have, "\n")+"\n", 0o644)
}
