package bake

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"hearth/internal/bake/guest"
	"hearth/internal/bake/recipe"
)

// member is one file of an archive in a test.
type member struct {
	name, data, link string
	kind             byte
	mode             int64
	uid              int
}

// archiveOf writes a tar, packed as told.
func archiveOf(t *testing.T, packing string, members ...member) string {
	t.Helper()
	var b bytes.Buffer
	var out io.WriteCloser
	var err error
	switch packing {
	case "gz":
		out = gzip.NewWriter(&b)
	case "xz":
		out, err = xz.NewWriter(&b)
	case "zst":
		out, err = zstd.NewWriter(&b)
	}
	if err != nil {
		t.Fatal(err)
	}
	to := io.Writer(&b)
	if out != nil {
		to = out
	}
	w := tar.NewWriter(to)
	for _, m := range members {
		h := &tar.Header{Name: m.name, Typeflag: m.kind, Mode: m.mode, Uid: m.uid, Size: int64(len(m.data)), Linkname: m.link}
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Mode == 0 {
			h.Mode = 0o755
		}
		if err = w.WriteHeader(h); err == nil {
			_, err = io.WriteString(w, m.data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	err = w.Close()
	if out != nil {
		err = errors.Join(err, out.Close())
	}
	name := filepath.Join(t.TempDir(), "a.tar")
	if err = errors.Join(err, os.WriteFile(name, b.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	return name
}

// stage3Like has what dress looks for in a Gentoo.
var stage3Like = []member{
	{name: "./", kind: tar.TypeDir},
	{name: "./usr/sbin/sshd", data: "x"},
	{name: "./bin", kind: tar.TypeSymlink, link: "usr/bin"},
	{name: "./sbin/openrc-run", data: "x"},
	{name: "./usr/bin/busybox", data: "x"},
	{name: "./etc/init.d/net.lo", data: "x"},
	{name: "./etc/init.d/sshd", data: "x"},
	{name: "./etc/inittab", data: "id:3:initdefault:\n", mode: 0o644},
	{name: "./etc/passwd", data: "root:x:0:0::/root:/bin/bash\nlarry:x:1000:1000::/home/larry:/bin/bash\n", mode: 0o644},
	{name: "./etc/group", data: "root:x:0:\nwheel:x:10:root\nusers:x:100:\nplugdev:x:1001:\n", mode: 0o644},
	{name: "./etc/shadow", data: "root:*:1::::::", mode: 0o640},
}

func unpackedRoot(t *testing.T, packing string, members ...member) (*rootfs, error) {
	t.Helper()
	s, err := stageTar(archiveOf(t, packing, members...), filepath.Join(t.TempDir(), "tree"), newTree(), func(int64) {})
	if err != nil {
		return nil, err
	}
	r, err := openRootfs(s)
	if err == nil {
		t.Cleanup(func() { r.root.Close() })
	}
	return r, err
}

func TestDressOpenRC(t *testing.T) {
	if _, err := guest.Agent(); err != nil {
		t.Skip(err)
	}
	for _, packing := range []string{"", "gz", "xz", "zst"} {
		r, err := unpackedRoot(t, packing, stage3Like...)
		if err != nil {
			t.Fatal(packing, err)
		}
		if err := r.dress(dressing{title: "T", label: "t", user: "ec2-user"}, "1-2"); err != nil {
			t.Fatal(packing, err)
		}
		for name, want := range map[string]string{
			"/etc/passwd":              "ec2-user:x:1002:1002::/home/ec2-user:",
			"/etc/group":               "wheel:x:10:root,ec2-user\nusers:x:100:ec2-user\n",
			"/etc/shadow":              "root:*:1::::::\nec2-user:*:20000:",
			"/etc/fstab":               "UUID=1-2 / ext4",
			"/etc/inittab":             "id:3:initdefault:\nhs0:2345:respawn:",
			"/etc/conf.d/net":          `config_eth0="dhcp"`,
			"/etc/hearth-guest.conf":   "user=ec2-user\n",
			"/etc/init.d/hearth-guest": "before sshd",
		} {
			if got, err := r.read(name); err != nil || !strings.Contains(got, want) {
				t.Errorf("%s: %v, %q lacks %q", name, err, got, want)
			}
		}
		for name, want := range map[string]string{
			"/etc/runlevels/default/hearth-guest": "/etc/init.d/hearth-guest", "/etc/runlevels/default/net.eth0": "/etc/init.d/net.eth0",
			"/etc/init.d/net.eth0": "net.lo", "/etc/runlevels/default/sshd": "/etc/init.d/sshd", "/sbin/udhcpc": "/bin/busybox",
		} {
			if got, err := r.root.Readlink(name[1:]); err != nil || got != want {
				t.Errorf("%s leads to %q, %v; want %s", name, got, err, want)
			}
		}
		owners := map[string][3]int{}
		for _, o := range r.owners {
			owners[o.Path] = [3]int{o.UID, o.GID, int(o.Mode)}
		}
		for name, want := range map[string][3]int{"/home/ec2-user": {1002, 1002, 0o40755}, "/usr/bin/sudo": {0, 10, 0o104750}, "/etc/shadow": {0, 0, 0o100640}} {
			if owners[name] != want {
				t.Errorf("%s belongs to %o, want %o", name, owners[name], want)
			}
		}
	}
}

func TestDressRefuses(t *testing.T) {
	if _, err := guest.Agent(); err != nil {
		t.Skip(err)
	}
	for lacks, want := range map[string]string{"./sbin/openrc-run": "none of systemd", "./usr/sbin/sshd": "no ssh server", "./etc/init.d/net.lo": "no network", "./usr/bin/busybox": "no DHCP client"} {
		var some []member
		for _, m := range stage3Like {
			if m.name != lacks {
				some = append(some, m)
			}
		}
		r, err := unpackedRoot(t, "", some...)
		if err == nil {
			err = r.dress(dressing{label: "t", user: "me"}, "1")
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("without %s: %v", lacks, err)
		}
	}
	r, err := unpackedRoot(t, "", stage3Like...)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "a:b", "Root", "1a", "a\nb"} {
		if err := r.account(name, true); err == nil {
			t.Errorf("a user may be called %q", name)
		}
	}
}

func TestArchivesStayInside(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	for name, members := range map[string][]member{
		"a name that leads up":    {{name: "../../outside", data: "x"}},
		"a link and a file in it": {{name: "etc", kind: tar.TypeSymlink, link: filepath.Dir(outside)}, {name: "etc/outside", data: "x"}},
		"a hard link":             {{name: "a", kind: tar.TypeSymlink, link: "/etc/passwd"}, {name: "b/../../x", kind: tar.TypeLink, link: "../../../../../etc/passwd"}},
	} {
		r, err := unpackedRoot(t, "", members...)
		if err == nil {
			if _, serr := os.Stat(outside); serr == nil {
				t.Errorf("%s: a file came to lie outside", name)
			}
			_, err = r.read("/x")
		}
		if _, serr := os.Stat(outside); serr == nil {
			t.Errorf("%s: a file came to lie outside, %v", name, err)
		}
	}
	// The overlay and the dressing go through links of the archive no more than the archive does.
	r, err := unpackedRoot(t, "", member{name: "etc", kind: tar.TypeSymlink, link: filepath.Dir(outside)})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.text("/etc/outside", "x"); err == nil {
		t.Error("a file was put through a link that leads out")
	}
}

func TestOverlay(t *testing.T) {
	r, err := unpackedRoot(t, "", member{name: "etc/motd", data: "old", uid: 5}, member{name: "etc/real", data: "kept"}, member{name: "etc/link", kind: tar.TypeSymlink, link: "real"})
	if err != nil {
		t.Fatal(err)
	}
	o := &oven{steps: steps{now: time.Now}, Options: Options{Overlay: archiveOf(t, "gz", member{name: "./etc/motd", data: "new", uid: 7}, member{name: "etc/link", data: "its own"})}}
	if err := o.overlay(r); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "srv"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "srv/a"), []byte("a"), 0o750); err != nil {
		t.Fatal(err)
	}
	o.Overlay = linkTo(t, dir)
	if err := o.overlay(r); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"/etc/motd": "new", "/etc/real": "kept", "/etc/link": "its own", "/srv/a": "a"} {
		if got, err := r.read(name); err != nil || got != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	last := map[string]int{}
	for _, o := range r.owners {
		last[o.Path] = o.UID<<16 | int(o.Mode&0o777)
	}
	if last["/etc/motd"] != 7<<16|0o755 || last["/srv/a"] != 0o750 {
		t.Errorf("owners: %v", last)
	}
}

// linkTo is a link to a file or folder.
func linkTo(t *testing.T, to string) string {
	t.Helper()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(to, link); err != nil {
		t.Fatal(err)
	}
	return link
}

// TestLinkedOverlays: an overlay may be a link to its folder; its files count, not where the link leads.
func TestLinkedOverlays(t *testing.T) {
	dir := t.TempDir()
	link := linkTo(t, dir)
	write(t, filepath.Join(dir, "etc/mark"), "a")
	before, err := digest(link)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "etc/mark"), "b")
	if after, err := digest(link); err != nil || after == before {
		t.Errorf("%s was %s, %v", after, before, err)
	}
	r, err := unpackedRoot(t, "", member{name: "etc/motd", data: "old"})
	if err != nil {
		t.Fatal(err)
	}
	k := &kitchen{recipe: &recipe.Recipe{}}
	if err := k.lay(r, recipe.Overlay{From: link}); err != nil || !r.has("/etc/mark") {
		t.Errorf("the overlay is not there, %v", err)
	}
	err = k.lay(r, recipe.Overlay{From: link, Modes: map[string]string{"/etc/none": "0400"}})
	if err == nil || !strings.Contains(err.Error(), "/etc/none should get another mode or owner, and the system has no such file") {
		t.Error(err)
	}
}

func TestBeforeSSH(t *testing.T) {
	got := beforeSSH("TARGETS = killprocs ssh dropbear rc.local\nINTERACTIVE =\ndropbear: killprocs\nrc.local: ssh\n")
	want := "TARGETS = killprocs ssh dropbear rc.local hearth-guest\nINTERACTIVE =\ndropbear: hearth-guest killprocs\nrc.local: ssh\nssh: hearth-guest\n"
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestKernelVersion(t *testing.T) {
	b := make([]byte, 0x800)
	copy(b[0x202:], "HdrS")
	binary.LittleEndian.PutUint16(b[0x20e:], 0x300)
	copy(b[0x500:], "6.1.0-9-amd64 (gcc) #1")
	if got := kernelVersion(b); got != "6.1.0-9-amd64" {
		t.Errorf("%q", got)
	}
	copy(b[0x500:], "../../etc ")
	for _, bad := range [][]byte{nil, b[:0x210], b} {
		if got := kernelVersion(bad); got != "" {
			t.Errorf("%q of %d bytes", got, len(bad))
		}
	}
}
