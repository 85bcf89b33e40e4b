package inject

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestfs/guestfstest"
	"hearth/internal/disk/netconf"
)

// lived is a clone of a RedHat with SELinux.
var lived = []string{
	"etc/os-release=ID=rocky\nID_LIKE=\"rhel fedora\"\nPRETTY_NAME=Rocky\n", "usr/lib/systemd/systemd=", "usr/sbin/NetworkManager=", "etc/hosts=127.0.0.1 localhost\n",
	"etc/passwd=root:x:0:0:root:/root:/bin/sh\nann:x:1000:1001::/home/ann:/bin/sh\n", "etc/group=root:x:0:\nweb:x:33:ann\n",
	"etc/fstab=UUID=1 / ext4 defaults 0 1\n/dev/old /data xfs noatime 0 2\n",
	"etc/selinux/config=SELINUX=enforcing\nSELINUXTYPE=targeted\n",
	"etc/selinux/targeted/contexts/files/file_contexts=/.*\tsystem_u:object_r:default_t:s0\n/etc/.*\tsystem_u:object_r:etc_t:s0\n/etc/ssh/ssh_host.*_key\t--\tsystem_u:object_r:sshd_key_t:s0\n/root/\\.ssh(/.*)?\tsystem_u:object_r:ssh_home_t:s0\n",
	"etc/ssh/sshd_config=Port 22\n", "etc/ssh/ssh_host_rsa_key=OLD", "etc/ssh/ssh_host_rsa_key.pub=OLD", "etc/ssh/ssh_host_dsa_key=OLD", "etc/machine-id=OLD\n",
	"var/lib/dbus/machine-id->/etc/machine-id", "var/lib/systemd/random-seed=OLD", "var/lib/NetworkManager/secret_key=OLD", "var/lib/dhclient/dhclient.leases=OLD",
	"etc/udev/rules.d/70-persistent-net.rules=OLD", "etc/udev/rules.d/z25_persistent-net.rules=OLD", "etc/keep=OLD",
}

func injected(t *testing.T, opt Options, content []string) (*Report, *guestfs.Tree) {
	t.Helper()
	image := guestfstest.Image(t, guestfstest.Options{}, func(dir string) { guestfstest.Tree(t, dir, content...) })
	layer := disk.Layer{Path: image, Format: disk.Raw}
	r, err := Image(context.Background(), &disk.Runner{}, layer, opt)
	if err != nil {
		t.Fatal(err)
	}
	guestfstest.Clean(t, image, 0)
	d, err := guestfs.Open(context.Background(), &disk.Runner{}, []disk.Layer{layer}, guestfs.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	tree, err := d.Tree()
	if err != nil {
		t.Fatal(err)
	}
	return r, tree
}

// TestClone makes all of a clone new, on a file system that e2fsck then finds clean.
func TestClone(t *testing.T) {
	opt := Options{Keys: []string{key1}, Identity: true, Network: &netconf.Network{NICs: []netconf.NIC{{Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.5/24")}}}},
		Fstab: []string{"/dev/vdb /data ext4", "LABEL=swap none swap sw 0 0"},
		Files: []File{{Path: "/srv/x", Who: "ann:web", Owner: guestfs.Owner{Mode: 0o640}}, {Path: "/srv/y", Who: "ann", Owner: guestfs.Owner{Mode: 0o600}}, {Path: "/srv/z", Who: "5:6"}}}
	first, tree := injected(t, opt, lived)
	second, other := injected(t, opt, lived)
	if len(first.HostKeys) != 3 || slices.ContainsFunc(first.HostKeys, func(k string) bool { return slices.Contains(second.HostKeys, k) }) {
		t.Errorf("host keys %v and %v", first.HostKeys, second.HostKeys)
	}
	for _, name := range []string{"/etc/ssh/ssh_host_rsa_key", "/etc/ssh/ssh_host_ecdsa_key", "/etc/ssh/ssh_host_ed25519_key", "/etc/machine-id", "/var/lib/dbus/machine-id", "/var/lib/systemd/random-seed"} {
		a, err := tree.ReadFile(name, 1<<16)
		b, berr := other.ReadFile(name, 1<<16)
		if err != nil || berr != nil || string(a) == string(b) || strings.TrimSpace(string(a)) == "OLD" {
			t.Errorf("%s: %.20q and %.20q, %v, %v", name, a, b, err, berr)
		}
	}
	for _, pattern := range []string{"/etc/ssh/ssh_host_dsa_key", "/var/lib/NetworkManager/secret_key", "/var/lib/dhclient/*", "/etc/udev/rules.d/*persistent-net.rules"} {
		if got, err := tree.Glob(pattern); len(got) > 0 || err != nil {
			t.Errorf("%s is left: %v, %v", pattern, got, err)
		}
	}
	if b, err := tree.ReadFile("/etc/fstab", 1000); string(b) != "UUID=1 / ext4 defaults 0 1\n/dev/vdb\t/data\text4\tdefaults\t0\t0\nLABEL=swap\tnone\tswap\tsw\t0\t0\n" || err != nil {
		t.Errorf("fstab: %s, %v", b, err)
	}
	for name, want := range map[string]guestfs.Owner{"/srv/x": {UID: 1000, GID: 33, Mode: 0o100640}, "/srv/y": {UID: 1000, GID: 1001, Mode: 0o100600}, "/srv/z": {UID: 5, GID: 6, Mode: 0o100000}} {
		if n, err := tree.Stat(name); err != nil || (guestfs.Owner{UID: n.UID, GID: n.GID, Mode: n.Mode}) != want {
			t.Errorf("%s: %+v, %v", name, n, err)
		}
	}
	for name, want := range map[string]string{"/root/.ssh": "ssh_home_t", "/root/.ssh/authorized_keys": "ssh_home_t", "/etc/ssh/ssh_host_ed25519_key": "sshd_key_t", "/etc/NetworkManager/system-connections/hearth-eth0.nmconnection": "etc_t", "/srv/x": "default_t"} {
		n, err := tree.Stat(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if x, err := tree.Xattrs(n); string(x["security.selinux"]) != "system_u:object_r:"+want+":s0\x00" || err != nil {
			t.Errorf("%s is labelled %q, %v", name, x, err)
		}
	}
	if guestos, err := tree.Glob("/.autorelabel"); len(guestos) > 0 || err != nil {
		t.Error("the guest was asked to label its files, which are labelled")
	}
}

// TestLinkedIdentity: what is new is at the end of symbolic links, and the fingerprint that
// is told is of the key that the guest has.
func TestLinkedIdentity(t *testing.T) {
	r, tree := injected(t, Options{Identity: true}, []string{"etc/os-release=ID=debian\n", "etc/ssh/sshd_config=HostKey /etc/ssh/ssh_host_ed25519_key\n", "data/key=OLD", "data/id=OLD\n",
		"etc/ssh/ssh_host_ed25519_key->../../data/key", "etc/machine-id->/data/id", "var/lib/dbus/machine-id->/etc/machine-id"})
	private, err := tree.ReadFile("/data/key", 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.ParsePrivateKey(private)
	if err != nil || len(r.HostKeys) != 1 || !strings.Contains(r.HostKeys[0], ssh.FingerprintSHA256(key.PublicKey())) {
		t.Errorf("%.40q, %v; told were %q", private, err, r.HostKeys)
	}
	if id, err := tree.ReadFile("/data/id", 100); len(id) != 33 || err != nil {
		t.Errorf("%q, %v", id, err)
	}
	for _, name := range []string{"/etc/ssh/ssh_host_ed25519_key", "/etc/machine-id", "/var/lib/dbus/machine-id"} {
		if n, err := tree.Lstat(name); err != nil || !n.IsLink() {
			t.Errorf("%s is no link any more: %v", name, err)
		}
	}
}

// TestAgain: the rules that name the cards are there though they were the same before the
// old ones went.
func TestAgain(t *testing.T) {
	opt := Options{Identity: true, Network: &netconf.Network{NICs: []netconf.NIC{{Name: "wan", MAC: "52:54:00:aa:bb:01", DHCP4: true}}}}
	image := guestfstest.Image(t, guestfstest.Options{}, func(dir string) { guestfstest.Tree(t, dir, append(lived, "usr/lib/udev/x=")...) })
	layer := disk.Layer{Path: image, Format: disk.Raw}
	for range 2 {
		if _, err := Image(t.Context(), &disk.Runner{}, layer, opt); err != nil {
			t.Fatal(err)
		}
		rules := guestFile(t, &disk.Runner{}, []disk.Layer{layer}, "/etc/udev/rules.d/70-persistent-net-hearth.rules")
		if !strings.Contains(string(rules), `NAME="wan"`) {
			t.Fatalf("the rules are %q", rules)
		}
	}
}

// TestRelabel: without the policy's names the guest labels its files itself.
func TestRelabel(t *testing.T) {
	_, tree := injected(t, Options{Hostname: "x"}, []string{"etc/os-release=ID=fedora\n", "etc/selinux/config=SELINUX=enforcing\nSELINUXTYPE=targeted\n"})
	if got, _ := tree.Glob("/.autorelabel"); len(got) != 1 {
		t.Error("nothing asks for new labels")
	}
}

// TestNoSystem: a disk of data gets files, and no name.
func TestNoSystem(t *testing.T) {
	_, tree := injected(t, Options{Files: []File{{Path: "/x", Data: []byte("1")}}}, []string{"photos/1=x"})
	if b, err := tree.ReadFile("/x", 10); string(b) != "1" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	image := guestfstest.Image(t, guestfstest.Options{}, func(dir string) { guestfstest.Tree(t, dir, "photos/1=x") })
	for _, opt := range []Options{{Hostname: "web1"}, {Identity: true}, {Network: &netconf.Network{NICs: []netconf.NIC{{DHCP4: true}}}}} {
		if r, err := Image(t.Context(), &disk.Runner{}, disk.Layer{Path: image, Format: disk.Raw}, opt); disk.KindOf(err) != disk.Unsupported {
			t.Errorf("%+v, %v", r, err)
		}
	}
}

func TestBadSettings(t *testing.T) {
	image := guestfstest.Image(t, guestfstest.Options{}, func(dir string) { guestfstest.Tree(t, dir, lived...) })
	for _, bad := range []Options{{Fstab: []string{"/dev/vda"}}, {Fstab: []string{"/dev/vda /x ext4\n/dev/vdb / ext4"}}, {Fstab: []string{"/dev/vda x ext4"}}, {Network: &netconf.Network{}},
		{Files: []File{{Path: "/x", Who: "eve"}}}, {Files: []File{{Path: "/x", Who: "ann:nobody"}}}} {
		if r, err := Image(context.Background(), &disk.Runner{}, disk.Layer{Path: image, Format: disk.Raw}, bad); disk.KindOf(err) == "" {
			t.Errorf("%+v did %+v, %v", bad, r, err)
		}
	}
}
