package sysprep

import (
	"context"
	"slices"
	"strings"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestfs/guestfstest"
)

// used is a guest that has lived.
var used = []string{
	"etc/os-release=ID=debian\n", "etc/ssh/sshd_config=x", "lib/systemd/system/ssh.service=x", "usr/sbin/sshd=x",
	"etc/ssh/ssh_host_rsa_key=1", "etc/ssh/ssh_host_rsa_key.pub=1", "etc/ssh/ssh_host_dsa_key=1", "etc/ssh/ssh_host_ecdsa_key=1", "etc/ssh/ssh_host_ed25519_key=1",
	"etc/dropbear/dropbear_ed25519_host_key=1", "etc/machine-id=0123\n", "var/lib/dbus/machine-id->/etc/machine-id",
	"var/lib/dhcpcd/duid=1", "var/lib/dhcpcd/secret=1", "var/lib/systemd/credential.secret=1", "var/lib/systemd/random-seed=1", "root/.bash_history=secret", "home/ann/.bash_history=secret", "home/ann/.ssh/authorized_keys=key", "home/ann/keep=1",
	"var/log/syslog=old", "var/log/syslog.1=old", "var/log/apt/history.log=old", "var/log/dpkg.log-20260101=old", "var/log/journal/0123/system.journal=old", "var/log/empty=",
	"var/lib/cloud/instances/i-1/user-data.txt=old", "var/lib/cloud/instance->instances/i-1", "var/lib/cloud/seed/nocloud/meta-data=keep",
	"var/lib/dhcp/dhclient.eth0.leases=1", "etc/udev/rules.d/70-persistent-net.rules=1", "etc/udev/rules.d/z25_persistent-net.rules=1", "etc/udev/rules.d/99-keep.rules=1",
	"tmp/.X0-lock=1", "tmp/a/b/c=1", "var/cache/apt/archives/x_1.deb=1", "var/cache/apt/archives/lock=", "var/cache/apt/pkgcache.bin=1", "var/cache/apt/srcpkgcache.bin=1",
}

// staying is what must be left of it, by name and content.
var staying = map[string]string{"/etc/machine-id": "", "/var/log/syslog": "", "/var/log/apt/history.log": "", "/home/ann/.ssh/authorized_keys": "key",
	"/home/ann/keep": "1", "/var/lib/cloud/seed/nocloud/meta-data": "keep", "/etc/udev/rules.d/99-keep.rules": "1", "/etc/ssh/sshd_config": "x", "/etc/os-release": "ID=debian\n"}

var leaving = []string{"/etc/ssh/ssh_host_*", "/etc/dropbear/*", "/var/lib/dhcpcd/*", "/var/lib/systemd/credential.secret", "/var/lib/systemd/random-seed", "/root/.bash_history", "/home/ann/.bash_history",
	"/var/log/syslog.1", "/var/log/dpkg.log-20260101", "/var/log/journal/*", "/var/lib/cloud/inst*", "/var/lib/dhcp/*", "/etc/udev/rules.d/*persistent*", "/tmp/*", "/tmp/.X*", "/var/cache/apt/archives/*.deb", "/var/cache/apt/*.bin"}

// TestLinks: what lies elsewhere, by symbolic links, goes too.
func TestLinks(t *testing.T) {
	path := guestfstest.Image(t, guestfstest.Options{}, func(dir string) {
		guestfstest.Tree(t, dir, "etc/os-release=ID=gentoo\n", "data/log/messages=old", "data/log/messages.1=old", "data/log/journal/1/a=old", "var/log->../data/log", "data/id=0123\n", "etc/machine-id->/data/id")
	})
	prepare(t, path, Options{})
	guestfstest.Clean(t, path, 0)
	tree := look(t, path)
	for _, name := range []string{"/var/log/messages", "/data/log/messages", "/etc/machine-id"} {
		if got, err := tree.ReadFile(name, 100); len(got) > 0 || err != nil {
			t.Errorf("%s has %q, %v", name, got, err)
		}
	}
	for _, pattern := range []string{"/data/log/messages.1", "/data/log/journal/*"} {
		if got, err := tree.Glob(pattern); len(got) > 0 || err != nil {
			t.Errorf("%s is there: %v, %v", pattern, got, err)
		}
	}
}

// TestMachineID: systemd finds an empty file, and D-Bus of others none.
func TestMachineID(t *testing.T) {
	for program, there := range map[string]bool{"lib/systemd/systemd=x": true, "sbin/openrc=x": false} {
		path := guestfstest.Image(t, guestfstest.Options{}, func(dir string) {
			guestfstest.Tree(t, dir, "etc/os-release=ID=alpine\n", program, "etc/machine-id=0123\n", "var/lib/dbus/machine-id->/etc/machine-id")
		})
		prepare(t, path, Options{})
		got, err := look(t, path).ReadFile("/etc/machine-id", 100)
		if there && (err != nil || len(got) > 0) || !there && !guestfs.Missing(err) {
			t.Errorf("%s: %q, %v", program, got, err)
		}
		guestfstest.Clean(t, path, 0)
	}
}

// TestInitiator: two guests of one name are one to an iSCSI target. Where nothing would make a name, it is told.
func TestInitiator(t *testing.T) {
	const name = "/etc/iscsi/initiatorname.iscsi"
	for maker, want := range map[string]string{"lib/open-iscsi/startup-checks.sh=x": "GenerateName=yes\n", "usr/lib/systemd/system/iscsi-init.service=x": "", "usr/sbin/iscsid=x": ""} {
		path := guestfstest.Image(t, guestfstest.Options{}, func(dir string) {
			guestfstest.Tree(t, dir, "etc/os-release=ID=x\n", maker, "etc/iscsi/initiatorname.iscsi=InitiatorName=iqn.1994-05.com.redhat:1\n", "etc/nvme/hostnqn=nqn\n")
		})
		r := prepare(t, path, Options{})
		got, err := look(t, path).ReadFile(name, 1000)
		if string(got) != want || (want == "") != guestfs.Missing(err) || (len(r.Warnings) > 0) != strings.Contains(maker, "iscsid") {
			t.Errorf("%s: %q, %v, %q", maker, got, err, r.Warnings)
		}
		if _, err := look(t, path).Stat("/etc/nvme/hostnqn"); !guestfs.Missing(err) {
			t.Errorf("NVMe's name: %v", err)
		}
		for _, s := range prepare(t, path, Options{}).Steps {
			if len(s.Removed)+len(s.Added) > 0 {
				t.Errorf("a second time %s does %v", s.Name, s)
			}
		}
	}
}

// TestDropbear: Debian's does not start without host keys, and makes none but when it is
// installed.
func TestDropbear(t *testing.T) {
	guest := []string{"etc/os-release=ID=debian\n", "usr/sbin/dropbear=x", "usr/bin/cloud-init=x", "etc/dropbear/dropbear_rsa_host_key=1"}
	for _, unit := range []bool{true, false} {
		files := guest
		if unit {
			files = append(files, "lib/systemd/system/dropbear.service=x")
		}
		path := guestfstest.Image(t, guestfstest.Options{}, func(dir string) { guestfstest.Tree(t, dir, files...) })
		r := prepare(t, path, Options{})
		got, err := look(t, path).ReadFile("/etc/systemd/system/dropbear.service.d/hearth-host-keys.conf", 1000)
		if (err == nil) != unit || strings.Contains(string(got), "dropbearkey -t $$t -f $$f") != unit || (len(r.Warnings) == 0) != unit {
			t.Errorf("unit %v: %s, %v, %q", unit, got, err, r.Warnings)
		}
	}
}

func prepare(t *testing.T, path string, opt Options) *Report {
	t.Helper()
	mode := guestfs.ReadWrite
	if opt.DryRun {
		mode = guestfs.ReadOnly
	}
	d, err := guestfs.Open(context.Background(), &disk.Runner{}, []disk.Layer{{Path: path, Format: disk.Raw}}, mode)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	r, err := Prepare(context.Background(), d, opt)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func look(t *testing.T, path string) *guestfs.Tree {
	t.Helper()
	d, err := guestfs.Open(context.Background(), &disk.Runner{}, []disk.Layer{{Path: path, Format: disk.Raw}}, guestfs.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	tree, err := d.Tree()
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestPrepare(t *testing.T) {
	path := guestfstest.Image(t, guestfstest.Options{Partition: true}, func(dir string) { guestfstest.Tree(t, dir, used...) })
	dry := prepare(t, path, Options{DryRun: true})
	if got, _ := look(t, path).Glob("/etc/ssh/ssh_host_*"); len(got) != 5 {
		t.Fatalf("a dry run changed the disk: %v", got)
	}
	done := prepare(t, path, Options{})
	guestfstest.Clean(t, path, 1<<20)
	tree := look(t, path)
	for name, want := range staying {
		if got, err := tree.ReadFile(name, 100); string(got) != want || err != nil {
			t.Errorf("%s has %q, %v", name, got, err)
		}
	}
	for _, pattern := range leaving {
		if got, err := tree.Glob(pattern); len(got) > 0 || err != nil {
			t.Errorf("%s is left: %v, %v", pattern, got, err)
		}
	}
	if b, err := tree.ReadFile("/etc/systemd/system/ssh.service.d/hearth-host-keys.conf", 1000); err != nil || !strings.Contains(string(b), "ssh-keygen -A") {
		t.Errorf("nothing makes host keys anew: %v", err)
	}
	for i := range done.Steps {
		if !slices.Equal(done.Steps[i].Removed, dry.Steps[i].Removed) || !slices.Equal(done.Steps[i].Emptied, dry.Steps[i].Emptied) {
			t.Errorf("%s did %v, the dry run said %v", done.Steps[i].Name, done.Steps[i], dry.Steps[i])
		}
	}
	again := prepare(t, path, Options{})
	for _, s := range again.Steps {
		if len(s.Removed)+len(s.Emptied) > 0 {
			t.Errorf("a second time %s has to do %v %v", s.Name, s.Removed, s.Emptied)
		}
	}
}

func TestChosen(t *testing.T) {
	names := func(opt Options) (list []string) {
		steps, err := Chosen(opt)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range steps {
			list = append(list, s.Name)
		}
		return list
	}
	if got := names(Options{Only: []string{"logs", "tmp"}, Also: []string{"authorized-keys"}, Not: []string{"tmp"}}); !slices.Equal(got, []string{"logs", "authorized-keys"}) {
		t.Errorf("chosen %v", got)
	}
	if got := names(Options{}); slices.Contains(got, "authorized-keys") || !slices.Contains(got, "host-keys") {
		t.Errorf("by default %v", got)
	}
	if _, err := Chosen(Options{Not: []string{"nonsense"}}); disk.KindOf(err) != disk.Unsupported {
		t.Errorf("a step that is not there: %v", err)
	}
}

// TestForeign leaves what is no ext file system as it is.
func TestForeign(t *testing.T) {
	path := guestfstest.Image(t, guestfstest.Options{}, func(string) {})
	// XFS where ext was.
	guestfstest.Overwrite(t, path, 0, append([]byte("XFSB"), make([]byte, 4092)...))
	d, err := guestfs.Open(context.Background(), &disk.Runner{}, []disk.Layer{{Path: path, Format: disk.Raw}}, guestfs.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := Prepare(context.Background(), d, Options{}); disk.KindOf(err) != disk.Unsupported || !strings.Contains(err.Error(), "xfs") {
		t.Errorf("xfs: %v", err)
	}
}
