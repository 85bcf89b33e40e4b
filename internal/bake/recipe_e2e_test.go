package bake

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hearth/internal/bake/kiwi"
	"hearth/internal/bake/recipe"
	"hearth/internal/disk"
)

// needAll skips what takes CI too long.
func needAll(t *testing.T) {
	t.Helper()
	if os.Getenv("HEARTH_E2E") != "1" || os.Getenv("HEARTH_E2E_ALL") != "1" {
		t.Skip("needs QEMU and minutes: set HEARTH_E2E=1 and HEARTH_E2E_ALL=1")
	}
}

// runLogged bakes a recipe and tells the layers.
func runLogged(t *testing.T, r *recipe.Recipe, out string) *RunResult {
	t.Helper()
	if found := r.Check(); len(found) > 0 {
		t.Fatal(found)
	}
	begin := time.Now()
	cache := os.Getenv("HEARTH_BAKE_CACHE")
	if cache == "" {
		cache = filepath.Join(filepath.Dir(out), "cache") // one for all bakes of a test
	}
	res, err := Run(context.Background(), RunOptions{Recipe: r, OutDir: out, CacheDir: cache, Log: func(s string) { t.Log(lastLines(s)) },
		Layer: func(l LayerReport) {
			t.Logf("layer %-12s %-7s %6.1f MiB %6.1f s", l.Name, l.Status, float64(l.Size)/(1<<20), l.Took.Seconds())
		}})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("baked in %.1f s; the qcow2 has %d bytes", time.Since(begin).Seconds(), fileSize(res.Disk))
	return res
}

// bootRecipe boots a disk with metadata and gives what runs commands in it.
func bootRecipe(t *testing.T, res *RunResult, want ...string) func(string) string {
	t.Helper()
	signer, key := newKey(t)
	over := filepath.Join(t.TempDir(), "disk.qcow2")
	base := disk.Layer{Path: res.Disk, Format: disk.QCOW2}
	if err := (&disk.Runner{}).CreateOverlay(context.Background(), over, base, 3<<30); err != nil {
		t.Fatal(err)
	}
	// By these words cloud-init knows which of its sources to ask.
	m := boot(t, metadataServer(t, "uuid-recipe", key), append(drive("format=qcow2,file="+over), "-m", "768", "-smp", "2", "-smbios", "type=1,manufacturer=OpenStack Foundation,product=OpenStack Nova")...)
	c := m.login(t, res.User, signer, 20*time.Minute)
	m.waitFor(t, 10*time.Minute, want...)
	return func(command string) string { return do(t, c, command) }
}

// TestRecipeDebian bakes the scaffold of Debian with cloud-init, and boots it. A
// second bake takes all from the cache.
func TestRecipeDebian(t *testing.T) {
	needAll(t)
	dir := t.TempDir()
	if _, err := recipe.Scaffold("debian", dir); err != nil {
		t.Fatal(err)
	}
	r, err := recipe.Load(filepath.Join(dir, "recipe.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	res := runLogged(t, r, filepath.Join(dir, "out"))
	in := bootRecipe(t, res, "Debian GNU/Linux (Hearth)", "Linux version", "login:")
	for command, want := range map[string]string{"id -un": "debian", "hostname": "spark", "cat /etc/motd": "Baked by hearth.", "sudo -n id -u": "0", "stat -c %u:%g:%a /": "0:0:755",
		"sudo dpkg --audit": "", "dpkg -S /etc/init.d/ssh": "openssh-server: /etc/init.d/ssh", "stat -c %a:%U:%G /usr/bin/sudo /etc/shadow | xargs": "4755:root:root 640:root:shadow"} {
		if got := in(command); got != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
	again := runLogged(t, r, filepath.Join(dir, "again"))
	if got := statuses(again); strings.Contains(got, Built) {
		t.Error(got)
	}
}

// openrcTree makes a Debian of a stage3's shape.
func openrcTree(t *testing.T) string {
	t.Helper()
	if have := os.Getenv("HEARTH_BAKE_STAGE3"); have != "" {
		return have
	}
	archive := filepath.Join(t.TempDir(), "stage3.tar")
	o, err := newOven(Options{OutDir: t.TempDir(), CacheDir: os.Getenv("HEARTH_BAKE_CACHE")})
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(o.work)
	if err := o.bootstrap(context.Background(), archive, append([]string{"openrc", "sysvinit-core"}, plainPackages...)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("xz", "-0", "-T0", archive).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return archive + ".xz"
}

// cloudGuest is the cloud_guest of KIWI's cookbook in the words of a Debian with
// OpenRC: its config.xml names what the tree has, config.sh does what the cookbook's
// does as far as Debian has it.
var cloudGuest = map[string]string{
	"config.xml": `<?xml version="1.0"?>
<image schemaversion="5.0" name="cloud_guest">
 <preferences><packagemanager>zypper</packagemanager><type image="vmx" primary="true" filesystem="ext4" boot="vmxboot/suse-12.1" format="qcow2"/></preferences>
 <users group="root"><user pwd="$1$wYJUgpM5$RXMMeASDc035eX.NbYWFl0" home="/root" name="root"/></users>
 <repository type="yast2"><source path="opensuse://12.1/repo/oss/"/></repository>
 <packages type="image"><package name="openssh-server"/><package name="isc-dhcp-client"/></packages>
</image>`,
	"config.sh": `#!/bin/bash
test -f /.kconfig && . /.kconfig
test -f /.profile && . /.profile
echo "Configure image: [$kiwi_iname]..."
baseMount
suseInsertService cloudguest
suseRemoveService motd
baseUpdateSysConfig /etc/sysconfig/bootloader LOADER_LOCATION mbr
baseUpdateSysConfig /etc/sysconfig/network/dhcp DHCLIENT_BIN dhclient
baseUpdateSysConfig /etc/sysconfig/network/dhcp DHCLIENT6_BIN /bin/false
baseSetRunlevel 2
echo "alias net-pf-10 off" >> /etc/modprobe.d/local.conf
sed -i "s/#net.ipv6.conf.all.disable_ipv6 = 1/net.ipv6.conf.all.disable_ipv6 = 1/" /etc/sysctl.conf
baseCleanMount
exit 0
`,
	"root/etc/sysconfig/bootloader":   "LOADER_LOCATION=\"\"\n",
	"root/etc/sysconfig/network/dhcp": "DHCLIENT_BIN=\"\"\nDHCLIENT6_BIN=\"\"\n",
	"root/etc/sysctl.conf":            "#net.ipv6.conf.all.disable_ipv6 = 1\n",
	"root/etc/init.d/cloudguest":      "#!/sbin/openrc-run\ndepend() { after hearth-guest; }\nstart() { echo started >/var/lib/cloudguest; }\n",
}

// TestRecipeKiwi bakes cloud_guest and boots it.
func TestRecipeKiwi(t *testing.T) {
	needAll(t)
	dir := t.TempDir()
	for name, text := range cloudGuest {
		write(t, filepath.Join(dir, name), text)
		if strings.Contains(name, "init.d") {
			if err := os.Chmod(filepath.Join(dir, name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	r, warnings, err := kiwi.Read(dir, openrcTree(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%q", warnings)
	res := runLogged(t, r, filepath.Join(dir, "out"))
	in := bootRecipe(t, res, "cloud_guest (Hearth)", "OpenRC", "login:")
	for command, want := range map[string]string{"id -un": "ec2-user", "hostname": "spark", "cat /var/lib/cloudguest": "started", "cat /etc/sysconfig/bootloader": `LOADER_LOCATION="mbr"`,
		"grep DHCLIENT6 /etc/sysconfig/network/dhcp": `DHCLIENT6_BIN="/bin/false"`, "cat /etc/modprobe.d/local.conf": "alias net-pf-10 off", "cat /etc/sysctl.conf": "net.ipv6.conf.all.disable_ipv6 = 1",
		"ls -a / | grep -c kconfig || true": "0", "sudo stat -c %u:%g:%a / /etc/shadow | xargs": "0:0:755 0:42:640", "sudo grep -c ^root:.1.wYJU /etc/shadow": "1"} {
		if got := in(command); got != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
}
