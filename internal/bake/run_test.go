package bake

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hearth/internal/bake/guest"
	"hearth/internal/bake/layer"
	"hearth/internal/bake/recipe"
	"hearth/internal/disk"
	"hearth/internal/disk/bootdisk"
)

// tinyRecipe bakes from a tree of a stage3's shape with a kernel in its /boot.
const tinyRecipe = `name: tiny
base:
  tarball: stage3.tar
kernel:
  from: tarball
  tarball: vmlinuz.tar
users:
  - preset: ec2-user
    ssh_keys: ["ssh-ed25519 AAAA me"]
  - name: web
    groups: [users]
    shell: /bin/false
services:
  enable: [crond]
boot:
  title: Tiny
  arguments: quiet
overlay:
  - from: overlay
    templates: true
    values: {greeting: hello}
    modes: {"/etc/secret": "0400", "/bin/given": "4750"}
    owners: {"/etc/secret": "33:34"}
outputs: [raw, tar]
`

// tiny lays the recipe and its files out.
func tiny(t *testing.T) string {
	t.Helper()
	if _, err := guest.Agent(); err != nil {
		t.Skip(err)
	}
	if _, err := os.Stat(bootdisk.FirstSector); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	members := slices.Concat(stage3Like, []member{{name: "./etc/init.d/crond", data: "x"}, {name: "./dev/null", kind: tar.TypeChar}, {name: "./etc/machine-id", data: "7"}, {name: "./usr/bin/given", data: "x", uid: 7},
		{name: "./var/lib/dpkg/status", data: "Package: a\nStatus: install ok installed\nVersion: 1\n"}})
	kernel := []member{{name: "boot/vmlinuz-1", data: "kernel"}, {name: "boot/initramfs-1", data: "ramdisk"}, {name: "lib/modules/1/x.ko", data: "x"}}
	for name, from := range map[string]string{"stage3.tar": archiveOf(t, "xz", members...), "vmlinuz.tar": archiveOf(t, "gz", kernel...)} {
		if err := os.Rename(from, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, "tiny.yaml"), tinyRecipe)
	write(t, filepath.Join(dir, "overlay/etc/motd.tmpl"), "{{.greeting}} from {{.hostname}}\n")
	write(t, filepath.Join(dir, "overlay/etc/secret"), "s")
	write(t, filepath.Join(dir, "overlay/bin/tool"), "t") // /bin leads to /usr/bin
	return dir
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func runTiny(t *testing.T, dir string, locked bool) (*RunResult, error) {
	t.Helper()
	r, err := recipe.Load(filepath.Join(dir, "tiny.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	res, err := Run(context.Background(), RunOptions{Recipe: r, OutDir: filepath.Join(dir, "out"), CacheDir: filepath.Join(dir, "cache"), Locked: locked})
	var missing *disk.Error
	if errors.As(err, &missing) && missing.Kind == disk.ToolMissing {
		t.Skip(err)
	}
	return res, err
}

// statuses is such as "base built, kernel cached".
func statuses(res *RunResult) string {
	var list []string
	for _, l := range res.Layers {
		list = append(list, l.Name+" "+l.Status)
	}
	return strings.Join(list, ", ")
}

func treeOf(t *testing.T, archive string) map[string]tar.Header {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	found := map[string]tar.Header{}
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if err != nil {
			return found
		}
		b := make([]byte, min(h.Size, 200))
		_, _ = r.Read(b)
		h.Uname = string(b) // the content, in these tests
		found["/"+strings.TrimSuffix(h.Name, "/")] = *h
	}
}

// TestLayers is BAKE-03: after a change of the overlay one layer is made anew.
func TestLayers(t *testing.T) {
	dir := tiny(t)
	res, err := runTiny(t, dir, false)
	if err != nil {
		t.Fatal(err)
	}
	if got := statuses(res); got != "base built, kernel built, system built, overlay built" {
		t.Error(got)
	}
	checkTiny(t, treeOf(t, res.Archive), "hello from tiny\n")
	first := res.Layers
	if res, err = runTiny(t, dir, true); err != nil || statuses(res) != "base cached, kernel cached, system cached, overlay cached" {
		t.Fatal(statuses(res), err)
	}
	checkTiny(t, treeOf(t, res.Archive), "hello from tiny\n")
	write(t, filepath.Join(dir, "overlay/etc/motd.tmpl"), "bye from {{.name}}\n")
	if res, err = runTiny(t, dir, true); err != nil || statuses(res) != "base cached, kernel cached, system cached, overlay built" {
		t.Fatal(statuses(res), err)
	}
	if res.Layers[2].Key != first[2].Key || res.Layers[3].Key == first[3].Key {
		t.Errorf("keys %v, before %v", res.Layers, first)
	}
	checkTiny(t, treeOf(t, res.Archive), "bye from tiny\n")
	for _, name := range []string{res.RawDisk, res.SBOM, res.Sources, res.Licence, res.Manifest, filepath.Join(dir, "tiny.lock")} {
		if fileSize(name) <= 0 {
			t.Errorf("%s is not there", name)
		}
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "out")); len(left) != 6 {
		t.Errorf("out has %v", left)
	}
}

// TestHardLinksInLayers: a layer has a file of many names once, with its owner and mode, whichever
// of the names comes first.
func TestHardLinksInLayers(t *testing.T) {
	in := newTree()
	in.file("/bin/busybox", 0o755, []byte("program"))
	for _, name := range []string{"/bin/[", "/bin/sh", "/sbin-init"} {
		in.put(entry{path: name, same: "/bin/busybox"})
	}
	in.text("/etc/alone", "x")
	s, err := in.stage(filepath.Join(t.TempDir(), "tree"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := openRootfs(s)
	if err != nil {
		t.Fatal(err)
	}
	defer r.root.Close()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := errors.Join(r.writeAll(w), w.Close()); err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := layer.EachFile(&b, func(h *tar.Header, _ io.Reader) error {
		got = append(got, fmt.Sprintf("%c %s %o %s", h.Typeflag, h.Name, h.Mode, h.Linkname))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	want := "5 bin/ 755 |0 bin/busybox 755 |5 etc/ 755 |0 etc/alone 644 |1 bin/[ 0 bin/busybox|1 bin/sh 0 bin/busybox|1 sbin-init 0 bin/busybox"
	if strings.Join(got, "|") != want {
		t.Errorf("%s", strings.Join(got, "|"))
	}
}

// TestImagesOfAnEarlierBake: where nothing has changed, the images are those of the first bake;
// a change of what only the disk is made of has them made anew.
func TestImagesOfAnEarlierBake(t *testing.T) {
	dir := tiny(t)
	file := filepath.Join(dir, "tiny.yaml")
	text := strings.Replace(tinyRecipe, "outputs: [raw, tar]", "outputs: [qcow2]", 1)
	write(t, file, text)
	first, err := runTiny(t, dir, false)
	if err != nil {
		t.Fatal(err)
	}
	if got := statuses(first); !strings.HasSuffix(got, "overlay built, images built") {
		t.Error(got)
	}
	names := []string{first.Disk, first.Manifest, first.SBOM, first.Sources, first.Licence}
	sums := map[string]string{}
	for _, name := range names {
		sums[name], _, _ = layer.Sum(name)
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	second, err := runTiny(t, dir, true)
	if err != nil {
		t.Fatal(err)
	}
	if got := statuses(second); !strings.HasSuffix(got, "overlay cached, images cached") || second.User != first.User || second.Lock != first.Lock || !slices.Equal(second.Packages, first.Packages) {
		t.Errorf("%s: %+v", got, second)
	}
	for i, name := range []string{second.Disk, second.Manifest, second.SBOM, second.Sources, second.Licence} {
		if sum, _, err := layer.Sum(name); err != nil || name != names[i] || sum != sums[name] {
			t.Errorf("%s: %s, %v", name, sum, err)
		}
	}
	lock := filepath.Join(dir, "tiny.lock")
	b, _ := os.ReadFile(lock)
	write(t, lock, strings.Replace(string(b), "a_1", "a_2", 1))
	if _, err := runTiny(t, dir, true); err == nil || !strings.Contains(err.Error(), "a_1 is not locked") {
		t.Errorf("the lock is not held: %v", err)
	}
	write(t, file, strings.Replace(text, "title: Tiny", "title: Other", 1))
	third, err := runTiny(t, dir, false)
	if err != nil || !strings.HasSuffix(statuses(third), "overlay cached, images built") {
		t.Errorf("%v, %v", statuses(third), err)
	}
}

func checkTiny(t *testing.T, files map[string]tar.Header, motd string) {
	t.Helper()
	for name, want := range map[string]string{"/etc/motd": motd, "/etc/hostname": "tiny\n", "/home/ec2-user/.ssh/authorized_keys": "ssh-ed25519 AAAA me\n", "/boot/vmlinuz-1": "kernel", "/lib/modules/1/x.ko": "x"} {
		if got := files[name].Uname; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := files["/etc/passwd"].Uname; !strings.Contains(got, "web:x:1003:1003::/home/web:/bin/false\n") {
		t.Errorf("passwd %q", got)
	}
	if got := files["/etc/group"].Uname; !strings.Contains(got, "wheel:x:10:root,ec2-user\nusers:x:100:ec2-user,web\n") { // web is told its groups: it is no administrator
		t.Errorf("group %q", got)
	}
	for name, want := range map[string][3]int64{"/etc/secret": {33, 34, 0o400}, "/usr/bin/tool": {0, 0, 0o644}, "/usr/bin/given": {7, 0, 0o4750}, "/etc/shadow": {0, 0, 0o640}, "/home/ec2-user/.ssh": {1002, 1002, 0o700}, "/home/ec2-user/.ssh/authorized_keys": {1002, 1002, 0o600}} {
		h := files[name]
		if got := [3]int64{int64(h.Uid), int64(h.Gid), h.Mode}; got != want {
			t.Errorf("%s: %o, want %o", name, got, want)
		}
	}
	if files["/etc/runlevels/default/crond"].Linkname != "/etc/init.d/crond" || files["/bin"].Linkname != "usr/bin" {
		t.Error("links lack")
	}
	for _, name := range []string{"/bin/tool", "/dev/null", "/etc/machine-id", "/etc/motd.tmpl"} {
		if _, ok := files[name]; ok {
			t.Errorf("%s is there", name)
		}
	}
}

func TestLockRefusesDrift(t *testing.T) {
	dir := tiny(t)
	if _, err := runTiny(t, dir, true); err == nil || !strings.Contains(err.Error(), "bake once without --locked") {
		t.Fatal(err)
	}
	if _, err := runTiny(t, dir, false); err != nil {
		t.Fatal(err)
	}
	lock, err := os.ReadFile(filepath.Join(dir, "tiny.lock"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "tiny.lock"), strings.Replace(string(lock), "a_1", "a_2", 1))
	if _, err := runTiny(t, dir, true); err == nil || !strings.Contains(err.Error(), "a_1 is not locked; locked a_2 is not there") {
		t.Error(err)
	}
	write(t, filepath.Join(dir, "tiny.lock"), string(lock))
	if err := os.Rename(archiveOf(t, "", member{name: "boot/vmlinuz-2", data: "k"}), filepath.Join(dir, "vmlinuz.tar")); err != nil {
		t.Fatal(err)
	}
	if _, err := runTiny(t, dir, true); err == nil || !strings.Contains(err.Error(), "vmlinuz.tar has the sum") {
		t.Error(err)
	}
	write(t, filepath.Join(dir, "tiny.lock"), "vintage: 1\n")
	if _, err := runTiny(t, dir, false); err == nil || !strings.Contains(err.Error(), "tiny.lock") {
		t.Error(err)
	}
}

// TestInterrupted: an interrupt is called that, not by what it did to a program; and what a bake that was
// killed left goes with the next.
func TestInterrupted(t *testing.T) {
	dir := tiny(t)
	left := filepath.Join(dir, "out/.bake-1/inside")
	write(t, filepath.Join(left, "etc/x"), "x")
	write(t, filepath.Join(dir, "cache/layers/.layer-1/layer"), "x")
	r, err := recipe.Load(filepath.Join(dir, "tiny.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	opt := RunOptions{Recipe: r, OutDir: filepath.Join(dir, "out"), CacheDir: filepath.Join(dir, "cache"), Layer: func(l LayerReport) {
		if l.Name == "overlay" {
			cancel()
		}
	}}
	if _, err := Run(ctx, opt); err == nil || !strings.Contains(err.Error(), "bake tiny: interrupted; no image was made") {
		t.Error(err)
	}
	for _, folder := range []string{"out", "cache/layers"} {
		entries, err := os.ReadDir(filepath.Join(dir, folder))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), ".") {
				t.Errorf("%s has %s", folder, e.Name())
			}
		}
	}
}

func TestInstallLinks(t *testing.T) {
	got := installLinks("[Unit]\nWantedBy=no.target\n[Install]\nWantedBy = a.target b.target\nAlias=c.service ../x %i\nRequiredBy=d.target\n", "u.service")
	want := []string{"a.target.wants/u.service", "b.target.wants/u.service", "c.service", "d.target.requires/u.service"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// TestRecipeOfAnother: where the lock file cannot be put is said before the bake, but one that is
// there and holds is enough.
func TestRecipeOfAnother(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root writes everywhere")
	}
	dir := tiny(t)
	if err := os.MkdirAll(filepath.Join(dir, "out"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "cache"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(dir, 0o755)
	if _, err := runTiny(t, dir, false); err == nil || !strings.Contains(err.Error(), "copy the recipe to a folder of yours") {
		t.Error(err)
	}
	if made, _ := os.ReadDir(filepath.Join(dir, "cache")); len(made) > 0 {
		t.Errorf("it was baked: %v", made)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := runTiny(t, dir, false); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	if _, err := runTiny(t, dir, false); err != nil {
		t.Error(err)
	}
}
