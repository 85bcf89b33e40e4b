package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	images "hearth/internal/disk"
	"hearth/internal/disk/convert"
	"hearth/internal/disk/tarball"
	"hearth/internal/disk/tree"
)

// What an image can be, and what it can be made: archives by bzip2 and xz are only read.
var (
	matrixForms   = []string{"raw", "qcow2", "vmdk", "vdi", "vhd", "vhdx", "ova", "ami", "fs", "tar", "tar.gz", "tar.bz2", "tar.xz", "tar.zst", "dump", "ganeti"}
	matrixTargets = []string{"raw", "qcow2", "vmdk", "vdi", "vhd", "vhdx", "ova", "ami", "fs", "tar.gz", "tar.zst", "dump", "ganeti"}
)

// matrix converts as an ordinary user.
type matrix struct {
	t        *testing.T
	bin, dir string
}

func newMatrix(t *testing.T) *matrix {
	t.Helper()
	m := &matrix{t: t, bin: needE2E(t)}
	if os.Getenv("HEARTH_E2E_ALL") != "1" {
		t.Skip("takes minutes: 'make e2e-all' runs this")
	}
	m.dir = tempDir(t)
	return m
}

// make makes a form of a source and names what holds the tree.
func (m *matrix) make(source, to, stem string) string {
	m.t.Helper()
	if packer := map[string]string{"tar.bz2": "bzip2", "tar.xz": "xz"}[to]; packer != "" {
		plain := m.make(source, "tar", stem)
		asUser(m.t, m.dir, packer, "-1", plain)
		return plain + strings.TrimPrefix(to, "tar")
	}
	out := stem + "." + to
	if to == "ami" || to == "dump" {
		out = stem + "-" + to
	}
	asUser(m.t, m.dir, m.bin, "image", "convert", source, "--to", to, "-o", out)
	switch to {
	case "ami":
		return out + ".ext4"
	case "dump":
		return out + "-root.dump"
	}
	return out
}

// read reads the tree in a file.
func (m *matrix) read(name string) *tree.Manifest {
	m.t.Helper()
	made, err := convert.ReadManifest(context.Background(), &images.Runner{}, filepath.Join(m.dir, name), tree.Limits{})
	if err != nil {
		m.t.Fatalf("%s: %v", name, err)
	}
	return made
}

// remove removes what was made by a stem.
func (m *matrix) remove(stem string) {
	m.t.Helper()
	list, err := os.ReadDir(m.dir)
	if err != nil {
		m.t.Fatal(err)
	}
	for _, e := range list {
		if strings.HasPrefix(e.Name(), stem+".") || strings.HasPrefix(e.Name(), stem+"-") {
			if err := os.Remove(filepath.Join(m.dir, e.Name())); err != nil {
				m.t.Error(err)
			}
		}
	}
}

// heavy is what a tree of Debian is made small by, for a matrix copies it hundreds of
// times: what is left are 3000 files of each kind that Debian has, and its kernel.
var heavy = []string{"/usr/share", "/usr/lib", "/usr/libexec", "/usr/bin", "/lib/modules", "/var/lib/apt", "/var/cache"}

// slim is a tree without some folders.
type slim struct{ tree.Source }

// Walk implements [tree.Source].
func (s slim) Walk(ctx context.Context, visit tree.Visit) error {
	within := func(name string) bool {
		return slices.ContainsFunc(heavy, func(dir string) bool { return strings.HasPrefix(name, dir+"/") })
	}
	moved := map[string]string{} // hard links whose first name is left out
	return s.Source.Walk(ctx, func(e *tree.Entry, content io.Reader) error {
		if within(e.Path) {
			return nil
		}
		if e.Same != "" && within(e.Same) {
			if moved[e.Same] == "" {
				moved[e.Same] = e.Path
			}
			return nil
		}
		return visit(e, content)
	})
}

// TestConversionMatrix makes of one tree of Debian all forms, and of each all others, as an
// ordinary user by the command line, and holds the manifests against each other.
func TestConversionMatrix(t *testing.T) {
	m := newMatrix(t)
	debian := bakeImage(t, "debian")
	whole := filepath.Join(m.dir, "whole.tar")
	if _, err := convert.Tree(t.Context(), &images.Runner{}, convert.TreeOptions{Source: debian.disk, Target: whole, To: "tar"}); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := tarball.Write(t.Context(), &b, tarball.Zstd, slim{tarball.File(whole)}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(m.dir, "slim.tar.zst"), b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	want := m.read("slim.tar.zst")
	bytes := int64(0)
	for _, i := range want.Items {
		bytes += i.Size
	}
	start, pairs := time.Now(), 0
	for _, from := range matrixForms {
		began := time.Now()
		source := m.make("slim.tar.zst", from, "first")
		m.equal("slim.tar.zst", from, want, source)
		for _, to := range matrixTargets {
			m.equal(from, to, want, m.make(source, to, "made"))
			m.remove("made")
			pairs++
		}
		m.remove("first")
		t.Logf("%-8s to %d others: %.0f s", from, len(matrixTargets), time.Since(began).Seconds())
	}
	t.Logf("%d files of %d MB, %d pairs in %.0f s", len(want.Items), bytes>>20, pairs, time.Since(start).Seconds())
	if len(want.Items) < 1000 {
		t.Errorf("the tree has %d files", len(want.Items))
	}
}

func (m *matrix) equal(from, to string, want *tree.Manifest, name string) {
	m.t.Helper()
	if d := tree.Diff(want, m.read(name)); len(d) > 0 {
		m.t.Errorf("%s to %s:\n%s", from, to, strings.Join(d[:min(len(d), 20)], "\n"))
	}
}

// boots boots an image to a login by ssh and the power button, and gives what it printed on
// its serial line.
func (m *matrix) boots(what, name string, options ...string) string {
	m.t.Helper()
	report := filepath.Join(m.dir, "report")
	start := time.Now()
	asUser(m.t, m.dir, append([]string{m.bin, "image", "boot-test", name, "--timeout", "40m", "--report", report}, options...)...)
	var r struct {
		Result, Format, User string
		Seconds              float64
	}
	body, err := os.ReadFile(filepath.Join(report, "boot-test.json"))
	if err != nil || json.Unmarshal(body, &r) != nil || r.Result != "pass" {
		m.t.Errorf("%s: %s, %v", what, body, err)
	}
	m.t.Logf("%-24s %-6s booted to ssh as %s and off in %.0f s, %.0f s in all", what, r.Format, r.User, r.Seconds, time.Since(start).Seconds())
	console, err := os.ReadFile(filepath.Join(report, "console.log"))
	if err != nil {
		m.t.Error(err)
	}
	return string(console)
}

// TestConvertedEmberBoots boots every form that boots, made of an archive of ember's files,
// and a disk of each other source.
func TestConvertedEmberBoots(t *testing.T) {
	m := newMatrix(t)
	m.take(bakeImage(t, "ember"))
	m.make("image.qcow2", "tar.zst", "first")
	for _, to := range []string{"raw", "qcow2", "vmdk", "vdi", "vhd", "vhdx", "ova", "ami"} {
		t.Run("to-"+to, func(t *testing.T) {
			m := m.in(t)
			m.boots("tar.zst to "+to, m.make("first.tar.zst", to, "made"))
		})
	}
	for _, from := range []string{"ova", "ami", "fs", "tar.bz2", "tar.xz", "dump", "ganeti"} {
		t.Run("from-"+from, func(t *testing.T) {
			m := m.in(t)
			m.boots(from+" to qcow2", m.make(m.make("first.tar.zst", from, "by"), "qcow2", "made"))
		})
	}
}

// TestConvertedDebianBoots boots Debian from a disk made of an archive, from the three parts
// of an Amazon image, from a disk made of dumps, and from an OVA of a file system's files.
func TestConvertedDebianBoots(t *testing.T) {
	m := newMatrix(t)
	m.take(bakeImage(t, "debian"))
	for name, by := range map[string][]string{"tar": {"tar.zst", "qcow2"}, "ami": {"ami"}, "dump": {"dump", "qcow2"}, "ova": {"dump", "fs", "ova"}} {
		t.Run(name, func(t *testing.T) {
			m, made := m.in(t), "image.qcow2"
			for i, to := range by {
				made = m.make(made, to, fmt.Sprint("made", i))
			}
			m.boots("disk to "+strings.Join(by, " to "), made)
		})
	}
}

// TestShrunkDebianBoots puts Debian onto other file systems, makes them as small as they
// get, and boots what came of it; of LVM see package resize.
func TestShrunkDebianBoots(t *testing.T) {
	m := newMatrix(t)
	m.take(bakeImage(t, "debian"))
	asUser(t, m.dir, m.bin, "image", "convert", "image.qcow2", "--to", "tar", "-o", "whole.tar")
	m.moduled(`printf 'xfs\nbtrfs\n' >> t/etc/initramfs-tools/modules; chroot t update-initramfs -u`)
	for _, fs := range []string{"xfs", "btrfs"} {
		t.Run(fs, func(t *testing.T) { m.in(t).shrunkBoots(fs) })
	}
}

// TestF2FSDebianBoots does it by f2fs, of which the kernel for clouds has no module. That cloud-init makes
// the user who logs in wants fsync to work on a root that is mounted as the menu says.
func TestF2FSDebianBoots(t *testing.T) {
	m := newMatrix(t)
	m.take(bakeImage(t, "debian"))
	asUser(t, m.dir, m.bin, "image", "convert", "image.qcow2", "--to", "tar", "-o", "whole.tar")
	m.moduled(`name=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: //p'); apt-get -qq -o APT::Sandbox::User=root download "$name"
		mv "$name"_*.deb t/ordinary.deb; echo f2fs >> t/etc/initramfs-tools/modules
		chroot t sh -ec 'dpkg --force-depends --purge $(dpkg-query -Wf "\${Package}\n" "linux-image-*-cloud-amd64"); dpkg -i /ordinary.deb; rm /ordinary.deb'`)
	console := m.in(t).shrunkBoots("f2fs")
	for _, line := range regexp.MustCompile("(?m)^.*(Oops|BUG:|F2FS-fs.*(error|corrupt)).*$").FindAllString(console, 10) {
		t.Error(line)
	}
}

// moduled makes modules.tar of whole.tar by a change to its tree, the folder t: baked, its
// ramdisk has only what finds an ext4.
func (m *matrix) moduled(change string) {
	m.t.Helper()
	m.asRoot("mkdir t; tar -C t --xattrs --numeric-owner -xpf whole.tar\n" + change + "\ntar -C t --xattrs --numeric-owner -cf modules.tar .; rm -rf t whole.tar; chmod 644 modules.tar")
}

// shrunkBoots puts modules.tar onto a file system, makes that small and boots it; it gives
// what that printed on its serial line.
func (m *matrix) shrunkBoots(fs string) string {
	m.t.Helper()
	begin := time.Now()
	asUser(m.t, m.dir, m.bin, "image", "convert", "modules.tar", "--to", "raw", "--fs", fs, "--size", "3", "-o", "made.raw")
	made := time.Now()
	m.t.Logf("%s", asUser(m.t, m.dir, m.bin, "image", "shrink", "made.raw", "-o", "made.small.qcow2", "--to", "qcow2"))
	m.t.Logf("made in %.0f s, shrunk in %.0f s", made.Sub(begin).Seconds(), time.Since(made).Seconds())
	return m.boots("Debian on a shrunk "+fs, "made.small.qcow2")
}

// in is the matrix for a part of a test, which removes what it made.
func (m *matrix) in(t *testing.T) *matrix {
	part := *m
	part.t = t
	t.Cleanup(func() {
		for _, stem := range []string{"made", "by", "made0", "made1", "made2"} {
			part.remove(stem)
		}
	})
	return &part
}

// take copies a baked disk to where the user may read it.
func (m *matrix) take(b baked) {
	m.t.Helper()
	if out, err := exec.Command("cp", b.disk, filepath.Join(m.dir, "image.qcow2")).CombinedOutput(); err != nil {
		m.t.Fatalf("%v: %s", err, out)
	}
	if err := os.Chmod(filepath.Join(m.dir, "image.qcow2"), 0o644); err != nil {
		m.t.Fatal(err)
	}
}
