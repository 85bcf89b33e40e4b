package deploy

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestfs/guestfstest"
	"hearth/internal/disk/osdef"
)

// quick is a definition that makes no host keys.
func quick(t *testing.T, settings string) *osdef.Definition {
	d := definition(t, settings)
	d.Features = map[string]bool{"ssh": false}
	return d
}

// server has files by the ends of their addresses.
type server struct {
	files map[string][]byte
	asked []string
}

func (s *server) fetch(_ context.Context, url string) (io.ReadCloser, error) {
	s.asked = append(s.asked, path.Base(url))
	b, ok := s.files[path.Base(url)]
	if !ok {
		return nil, fmt.Errorf("404: %w", fs.ErrNotExist)
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

// TestFetch has images fetched, verified, kept within a bound, and removed.
func TestFetch(t *testing.T) {
	image := []byte(strings.Repeat("image", 300000)) // 1.4 MB
	sum1, sum2, sum5 := sha1.Sum(image), sha256.Sum256(image), sha512.Sum512(image)
	line := func(sum []byte, name string) []byte { return []byte(hex.EncodeToString(sum) + "  " + name + "\n") }
	for _, c := range []struct {
		name  string
		files map[string][]byte
		want  string // of the error, or the warning after a "!"
	}{
		{"sha512 is asked for first", map[string][]byte{"a.img": image, "a.img.sha512": line(sum5[:], "a.img"), "a.img.sig": []byte("no")}, ""},
		{"sha256", map[string][]byte{"a.img": image, "a.img.sha256": line(sum2[:], "*a.img")}, ""},
		{"a bare sum", map[string][]byte{"a.img": image, "a.img.sha256": []byte(hex.EncodeToString(sum2[:]))}, ""},
		{"the old sum", map[string][]byte{"a.img": image, "a.img.sig": line(sum1[:], "a.img")}, "!SHA-1"},
		{"a corrupt byte", map[string][]byte{"a.img": append([]byte("x"), image[1:]...), "a.img.sig": line(sum1[:], "a.img")}, "not what its check sum says"},
		{"no sum", map[string][]byte{"a.img": image}, "IMAGE_VERIFY is yes"},
		{"the sum of another", map[string][]byte{"a.img": image, "a.img.sha256": line(sum2[:], "b.img")}, "no check sum of a.img"},
		{"no image", map[string][]byte{}, "404"},
	} {
		dir := t.TempDir()
		var warned []string
		s := &server{files: c.files}
		get := func() (string, error) {
			k := &cache{dir: dir, url: "http://images/x/", verify: true, fetch: s.fetch, warn: func(f string, a ...any) { warned = append(warned, fmt.Sprintf(f, a...)) }}
			return k.get(context.Background(), "a.img")
		}
		got, err := get()
		switch {
		case strings.HasPrefix(c.want, "!"):
			if err != nil || len(warned) != 1 || !strings.Contains(warned[0], c.want[1:]) {
				t.Errorf("%s: %v, %q", c.name, err, warned)
			}
		case c.want != "":
			if left, _ := os.ReadDir(dir); err == nil || !strings.Contains(err.Error(), c.want) || len(left) > 0 {
				t.Errorf("%s: %v; left are %v", c.name, err, left)
			}
			continue
		case err != nil || len(warned) > 0:
			t.Errorf("%s: %v, %q", c.name, err, warned)
		}
		if b, err := os.ReadFile(got); !bytes.Equal(b, image) {
			t.Errorf("%s: %d bytes, %v", c.name, len(b), err)
		}
		s.asked = nil
		if _, err := get(); err != nil || strings.Contains(strings.Join(s.asked, " ")+" ", "a.img ") {
			t.Errorf("%s: a second time %v is asked for, %v", c.name, s.asked, err)
		}
	}
}

// TestFetchSigned has images held against signatures by the keys of IMAGE_KEYRING.
// TestAddressesKeepTheirPasswords: one in IMAGE_URL is in no error and in no file that others read.
func TestAddressesKeepTheirPasswords(t *testing.T) {
	dir := t.TempDir()
	k := &cache{dir: dir, url: "https://ann:hunter2@images/x", verify: true, fetch: (&server{}).fetch, warn: t.Logf}
	if _, err := k.get(context.Background(), "a.img"); err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "https://ann:xxxxx@images/x/a.img") {
		t.Error(err)
	}
	k.fetch, k.verify = (&server{files: map[string][]byte{"a.img": []byte("image")}}).fetch, false
	if _, err := k.get(context.Background(), "a.img"); err != nil {
		t.Fatal(err)
	}
	left, _ := os.ReadDir(dir)
	for _, e := range left {
		if b, err := os.ReadFile(filepath.Join(dir, e.Name())); err != nil || strings.Contains(string(b), "hunter2") {
			t.Errorf("%s: %q, %v", e.Name(), b, err)
		}
	}
}

func TestFetchSigned(t *testing.T) {
	data := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join("../verify/testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	image := data("image")
	corrupt := append([]byte("x"), image[1:]...)
	for _, c := range []struct {
		name, keyring string
		files         map[string][]byte
		want          string
	}{
		{"OpenPGP", "images.asc", map[string][]byte{"image": image, "image.asc": data("image.asc")}, ""},
		{"OpenPGP, not text", "other.gpg", map[string][]byte{"image": image, "image.sig": data("image.gpg")}, ""},
		{"minisign", "minisign.pub", map[string][]byte{"image": image, "image.minisig": data("image.minisig")}, ""},
		{"a corrupt byte", "images.asc", map[string][]byte{"image": corrupt, "image.asc": data("image.asc")}, "not those that were signed"},
		{"a corrupt byte, minisign", "minisign.pub", map[string][]byte{"image": corrupt, "image.minisig": data("image.minisig")}, "not those that"},
		{"another's", "images.asc", map[string][]byte{"image": image, "image.sig": data("image.gpg")}, "not trusted"},
		{"a sum only", "images.asc", map[string][]byte{"image": image, "image.sig": data("image.sig")}, "no signature of the image"},
		{"no key ring", "none", map[string][]byte{"image": image}, "IMAGE_KEYRING"},
	} {
		dir := t.TempDir()
		k := &cache{dir: dir, url: "http://images", verify: true, keyring: filepath.Join("../verify/testdata", c.keyring), fetch: (&server{files: c.files}).fetch, warn: t.Logf}
		got, err := k.get(context.Background(), "image")
		if c.want == "" && (err != nil || filepath.Base(got) != "image") {
			t.Errorf("%s: %v", c.name, err)
		}
		if left, _ := os.ReadDir(dir); c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || len(left) > 0) {
			t.Errorf("%s: %v; left are %v", c.name, err, left)
		}
	}
}

// TestCacheSize has the image that was not used for the longest removed, and what an
// operator put there kept.
func TestCacheSize(t *testing.T) {
	dir := t.TempDir()
	s := &server{files: map[string][]byte{}}
	if err := os.WriteFile(filepath.Join(dir, "own.img"), make([]byte, 3*mib), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &cache{dir: dir, url: "http://images", limit: 5 * mib / 2, fetch: s.fetch, warn: func(string, ...any) {}}
	old := time.Now().Add(-time.Hour)
	for i, name := range []string{"a.img", "b.img", "a.img", "c.img"} {
		s.files[name] = make([]byte, mib)
		got, err := c.get(context.Background(), name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(got+mark, old.Add(time.Duration(i)*time.Minute), old.Add(time.Duration(i)*time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	have := ""
	for _, name := range []string{"own.img", "a.img", "b.img", "c.img"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			have += name + " "
		}
	}
	if have != "own.img a.img c.img " {
		t.Errorf("there are %s", have)
	}
}

// TestImageURL deploys an image from a server and removes it afterwards.
func TestImageURL(t *testing.T) {
	b, err := os.ReadFile(archive(t))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	s := &server{files: map[string][]byte{"debian-5.0-x86_64.tar.gz": b, "debian-5.0-x86_64.tar.gz.sha256": []byte(hex.EncodeToString(sum[:]))}}
	dir := t.TempDir()
	d := quick(t, "IMAGE_TYPE=tarball\nIMAGE_NAME=debian-5.0\nARCH=x86_64\nIMAGE_URL=http://images\nIMAGE_CLEANUP=yes\nCACHE_DIR="+dir)
	var log bytes.Buffer
	r := deployTo(t, Options{Definition: d, Target: filepath.Join(t.TempDir(), "disk"), Size: 128 << 20, Name: "web1", Fetch: s.fetch, Log: &log, Debug: true})
	if left, _ := os.ReadDir(dir); r.Type != "tarball" || len(left) > 0 {
		t.Errorf("%+v; left are %v", r, left)
	}
	var steps []string
	for _, s := range r.Steps {
		steps = append(steps, s.Name)
		if !strings.Contains(log.String(), "deploy: "+s.Name+": ") {
			t.Errorf("%s is not told:\n%s", s.Name, log.String())
		}
	}
	if strings.Join(steps, " ") != "fetch check fill fstab person settle publish" || !strings.Contains(log.String(), "/etc/hostname is written") {
		t.Errorf("%v\n%s", steps, log.String())
	}
}

// debian makes a tarball of a system with ifupdown and cloud-init.
func debian(t *testing.T, more ...member) string {
	return archive(t, append([]member{{name: "./usr", dir: true, mode: 0o755}, {name: "./usr/sbin", dir: true, mode: 0o755}, {name: "./usr/sbin/ifup", data: "x", mode: 0o755}, {name: "./usr/sbin/dhclient", data: "x", mode: 0o755},
		{name: "./etc/network", dir: true, mode: 0o755}, {name: "./etc/network/interfaces", data: "auto lo\niface lo inet loopback\n", mode: 0o644}}, more...)...)
}

// TestNetworks has networks from NETWORKS_DIR and from the NIC_ variables.
func TestNetworks(t *testing.T) {
	networks := t.TempDir()
	guestfstest.Tree(t, networks, "subnets/vlan42=NETMASK=255.255.255.0\nGATEWAY=192.0.2.1\nDNS_SERVERS=192.0.2.53\nDNS_SEARCH=example.org\n", "instances/web1.example.org=ADDRESS=192.0.2.7\nSUBNET=vlan42\n")
	image := debian(t)
	for _, c := range []struct {
		name, instance, settings string
		env                      []string
		want, not                []string
	}{
		{"a fixed address", "web1.example.org", "", []string{"NIC_COUNT=2", "NIC_0_MAC=aa:00:11:22:33:44", "NIC_1_MAC=aa:00:11:22:33:45"},
			[]string{"address 192.0.2.7\n    netmask 255.255.255.0", "gateway 192.0.2.1", "192.0.2.53", "inet dhcp"}, nil},
		{"nothing is known of its cards", "web1.example.org", "", nil, []string{"iface eth0 inet static", "192.0.2.7"}, []string{"dhcp"}},
		{"all cards ask", "web2.example.org", "", []string{"NIC_COUNT=1", "NIC_0_MAC=aa:00:11:22:33:44"}, []string{"inet dhcp"}, []string{"192.0.2.7"}},
		{"a network of Ganeti's", "web2.example.org", "DNS_SERVERS='198.51.100.53'\nDNS_SEARCH=example.net\n", []string{"NIC_COUNT=1", "NIC_0_MAC=aa:00:11:22:33:44", "NIC_0_IP=198.51.100.9", "NIC_0_NETWORK_SUBNET=198.51.100.0/25", "NIC_0_NETWORK_GATEWAY=198.51.100.1"},
			[]string{"address 198.51.100.9\n    netmask 255.255.255.128", "gateway 198.51.100.1", "198.51.100.53", "example.net"}, []string{"dhcp"}},
		{"no cards", "web2.example.org", "", nil, []string{"iface lo inet loopback"}, []string{"eth0"}},
	} {
		target := filepath.Join(t.TempDir(), "disk")
		r := deployTo(t, Options{Definition: quick(t, c.settings+"NETWORKS_DIR="+networks), Image: image, Target: target, Size: 128 << 20, Name: c.instance, Environ: c.env})
		tree := open(t, target)
		all := ""
		for _, name := range append([]string{"/etc/network/interfaces"}, glob(t, tree, "/etc/network/interfaces.d/*")...) {
			all += text(t, tree, name)
		}
		for _, w := range c.want {
			if !strings.Contains(all, w) {
				t.Errorf("%s: %q lacks in\n%s%v", c.name, w, all, r.Warnings)
			}
		}
		for _, w := range c.not {
			if strings.Contains(all, w) {
				t.Errorf("%s: %q is in\n%s", c.name, w, all)
			}
		}
	}
	off := quick(t, "NETWORKS_DIR="+networks)
	off.Features = map[string]bool{"interfaces": false, "ssh": false}
	target := filepath.Join(t.TempDir(), "disk")
	deployTo(t, Options{Definition: off, Image: image, Target: target, Size: 128 << 20, Name: "web1.example.org"})
	if got := text(t, open(t, target), "/etc/network/interfaces"); strings.Contains(got, "192.0.2.7") {
		t.Errorf("the feature is off, and yet:\n%s", got)
	}
}

func glob(t *testing.T, tree *guestfs.Tree, pattern string) []string {
	t.Helper()
	list, err := tree.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestCloudInit(t *testing.T) {
	image := debian(t, member{name: "./usr/bin", dir: true, mode: 0o755}, member{name: "./usr/bin/cloud-init", data: "x", mode: 0o755})
	settings := "CINIT_USER=ann\nCINIT_SSH_KEY='ssh-ed25519 AAAA ann'\nCINIT_DISABLE_ROOT=yes\nCINIT_MANAGE_RESOLV_CONF=yes\nDNS_SERVERS=192.0.2.53\n"
	target := filepath.Join(t.TempDir(), "disk")
	deployTo(t, Options{Definition: quick(t, settings), Image: image, Target: target, Size: 128 << 20, Name: "web1.example.org", Environ: []string{"NIC_COUNT=1", "NIC_0_MAC=aa:00:11:22:33:44"}})
	tree := open(t, target)
	got := text(t, tree, "/etc/cloud/cloud.cfg.d/99_ganeti.cfg")
	for _, want := range []string{"#cloud-config\n", "fqdn: web1.example.org", "name: ann", "ssh-ed25519 AAAA ann", "disable_root: 1", "192.0.2.53"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q lacks in\n%s", want, got)
		}
	}
	if got := text(t, tree, "/etc/network/interfaces"); strings.Contains(got, "eth0") {
		t.Errorf("cloud-init's network is taken from it:\n%s", got)
	}
	r := deployTo(t, Options{Definition: quick(t, settings), Image: debian(t), Target: target + "2", Size: 128 << 20, Name: "web1"})
	if !strings.Contains(strings.Join(r.Warnings, "\n"), "no cloud-init") {
		t.Errorf("%q", r.Warnings)
	}
}

// TestOverlays has a kept overlay with a template, of two versions.
func TestOverlays(t *testing.T) {
	dir := osdef.Dir(t.TempDir())
	ctx := context.Background()
	files := t.TempDir()
	guestfstest.Tree(t, files, ".profile=dot\n", "etc/motd.hearth-template=I am {{.Hostname}} of {{.Domain}}, {{.Settings.RACK}}{{range .NICs}} {{.MAC}}{{end}}\n")
	first, err := dir.PutOverlay(ctx, "site", Folder(files))
	if err != nil || first != "site@1" {
		t.Fatalf("%s, %v", first, err)
	}
	if again, err := dir.PutOverlay(ctx, "site", Folder(files)); err != nil || again != "site@1" {
		t.Errorf("%s, %v", again, err)
	}
	guestfstest.Tree(t, files, "etc/motd.hearth-template=second\n", "etc/.wh.inittab=", "etc/.wh.none=") // as in a layer of a container's image
	if second, err := dir.PutOverlay(ctx, "site", Folder(files)); err != nil || second != "site@2" {
		t.Errorf("%s, %v", second, err)
	}
	image := archive(t)
	for ref, want := range map[string]string{"site@1": "I am web1 of example.org, r7 aa:00:11:22:33:44\n", "site": "second\n"} {
		target := filepath.Join(t.TempDir(), "disk")
		deployTo(t, Options{Definition: quick(t, "RACK=r7\nOVERLAY="+ref), Overlay: dir.Overlay, Image: image, Target: target, Size: 128 << 20, Name: "web1.example.org", Environ: []string{"NIC_COUNT=1", "NIC_0_MAC=aa:00:11:22:33:44"}})
		tree := open(t, target)
		if got := text(t, tree, "/etc/motd"); got != want {
			t.Errorf("%s: %q", ref, got)
		}
		if _, err := tree.Stat("/etc/inittab"); guestfs.Missing(err) != (ref == "site") {
			t.Errorf("%s: /etc/inittab: %v", ref, err)
		}
		if _, err := tree.Stat("/etc/motd" + templated); !guestfs.Missing(err) || text(t, tree, "/.profile") != "dot\n" {
			t.Errorf("the template is there: %v", err)
		}
	}
	for ref, want := range map[string]string{"site@3": "no version 3", "none": "is not there", "site@1": "map has no entry for key"} {
		target := filepath.Join(t.TempDir(), "disk")
		settings := "OVERLAYS_DIR=/nowhere\nOVERLAY=" + ref // without RACK
		_, err := (&Deployer{Run: &disk.Runner{}}).Deploy(ctx, Options{Definition: quick(t, settings), Overlay: dir.Overlay, Image: image, Target: target, Size: 128 << 20, Name: "web1"})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", ref, err)
		}
		if left, _ := os.ReadDir(filepath.Dir(target)); len(left) > 0 {
			t.Errorf("%s: something was written: %v", ref, left)
		}
	}
}

// TestShippedHooks has ganeti-instance-image's own hooks left to the features, and
// ROOT_DEV one that blkid reads.
func TestShippedHooks(t *testing.T) {
	dir := t.TempDir()
	for name, s := range map[string]string{"grub": ". common.sh\nexit 1", "10-dev": "dumpe2fs -h $ROOT_DEV 2>/dev/null | grep '^Filesystem UUID' > $TARGET/uuid; test -f $BOOT_DEV"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh -e\n"+s+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	target := filepath.Join(t.TempDir(), "disk")
	r := deployTo(t, Options{Definition: quick(t, "SWAP=no\nCUSTOMIZE_DIR="+dir), Image: archive(t), Target: target, Size: 128 << 20})
	if strings.Join(r.Hooks, " ") != "10-dev" || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "feature grub") {
		t.Errorf("%+v", r)
	}
	if got := text(t, open(t, target), "/uuid"); !strings.Contains(got, r.Partitions[1].UUID) {
		t.Errorf("ROOT_DEV says %q, not %s", got, r.Partitions[1].UUID)
	}
}

// TestLoaders has a tarball become disks of other boot loaders, with the kernel's
// words in their menus once, and is refused what they have no place for.
func TestLoaders(t *testing.T) {
	image := archive(t)
	for _, loader := range []string{"extlinux", "systemd-boot", "grub\nFIRMWARE=hybrid"} {
		target := filepath.Join(t.TempDir(), "disk")
		r := deployTo(t, Options{Definition: quick(t, "LOADER="+loader+"\nKERNEL_ARGS=nosmt"), Image: image, Target: target, Size: 256 << 20, Name: "web1.example.org", Serial: true})
		if r.Type != "tarball" || len(r.Warnings) > 0 {
			t.Errorf("%s: %+v", loader, r)
		}
		b, err := os.ReadFile(target)
		if err != nil {
			t.Fatal(err)
		}
		menus := 0
		for rest := b; ; {
			at := bytes.Index(rest, []byte("nosmt"))
			if at < 0 {
				break
			}
			line := string(rest[bytes.LastIndexByte(rest[:at], '\n')+1 : at+bytes.IndexByte(rest[at:], '\n')])
			rest = rest[at+1:]
			if !regexp.MustCompile(`^\s*(?i:options|append|linux16) `).MatchString(line) {
				continue
			}
			if menus++; strings.Count(line, "nosmt") != 1 || !strings.Contains(line, "root=UUID=") || !strings.Contains(line, " console=ttyS0") {
				t.Errorf("%s: %s", loader, line)
			}
		}
		if menus != 1 {
			t.Errorf("%s: %d menus", loader, menus)
		}
		if got := text(t, open(t, target), "/etc/hostname"); got != "web1\n" {
			t.Errorf("%s: %q", loader, got)
		}
	}
	for settings, want := range map[string]string{"LOADER=lilo": "LOADER", "LOADER=extlinux\nSWAP=yes": "say SWAP=no", "LOADER=extlinux\nFILESYSTEM=ext3": "is ext4", "LOADER=extlinux\nFIRMWARE=uefi": "extlinux starts under BIOS only", "FIRMWARE=hybrid\nSWAP=yes": "say SWAP=no", "FIRMWARE=coreboot": "FIRMWARE"} {
		d, err := osdef.Import("default", settings)
		if err == nil {
			_, err = (&Deployer{Run: &disk.Runner{}}).Deploy(context.Background(), Options{Definition: d, Image: image, Target: filepath.Join(t.TempDir(), "disk"), Size: 128 << 20})
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", settings, err)
		}
	}
}
