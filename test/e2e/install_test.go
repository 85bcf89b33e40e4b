package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/volumeattach"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
)

// installer is what the CD-ROM's ramdisk runs: it looks for an empty disk of its own,
// writes a system on it and switches the machine off, as installers do. Started
// again with that disk full, it says so.
const installer = `#!/bin/busybox sh
b=/bin/busybox
$b mkdir -p /proc /sys /dev /cd
$b mount -t proc p /proc; $b mount -t sysfs s /sys; $b mount -t devtmpfs d /dev
for m in /modules/1/*.ko /modules/2/*.ko /modules/3/*.ko; do $b insmod $m; done
echo "installer: started" >/dev/ttyS0
while [ ! -e /dev/vda ] || ! $b mount -t iso9660 -o ro /dev/sr0 /cd 2>/dev/null; do $b usleep 100000; done
if [ "$($b dd if=/dev/vda bs=1 skip=510 count=2 2>/dev/null | $b hexdump -e '/1 "%02x"')" = 55aa ]; then
	echo "installer: the disk is not empty" >/dev/ttyS0
else
	$b zcat /cd/system.gz >/dev/vda && $b sync && echo "installer: done" >/dev/ttyS0
fi
$b poweroff -f
`

// TestInstall shows a system come to an empty volume from a CD-ROM, by Hearth's verb
// and by Debian's client, boot from there, and become an image.
func TestInstall(t *testing.T) {
	needE2E(t)
	ember := bakeImage(t, "ember")
	iso := installISO(t, ember)
	c := newCloud(t, "qemu")
	g := &stage{t: t, theCloud: c, session: c.session(), trio: &trio{}}
	signer, public := keyPair(t)
	g.signer, g.private = signer, g.networkNamed("private")
	g.importKey("me", public)
	g.group("web", true, 22)
	cd := g.upload("installer", "iso", iso, nil)
	for _, part := range []struct {
		name string
		run  func(*stage, string)
	}{{"Client", (*stage).installByClient}, {"Verb", (*stage).installByVerb}} {
		t.Run(part.name, func(t *testing.T) {
			if part.name == "Verb" && os.Getenv("HEARTH_E2E_ALL") == "" {
				t.Skip("HEARTH_E2E_ALL is not set: 'make e2e-all' runs this, which boots three times")
			}
			start := time.Now()
			defer func() { t.Logf("%.1f s", time.Since(start).Seconds()) }()
			part.run(g.in(t), cd)
		})
	}
	g.fsck()
}

// installByVerb has the CD-ROM read where the image lies, and makes an image of what
// was installed, of which another server boots.
func (g *stage) installByVerb(cd string) {
	m := &machine{name: "verb", id: lastLine(g.hearth("server", "create", "--iso", cd, "--disk", "1", "--flavor", "42",
		"--network", g.private, "--key-name", "me", "--security-group", "web", "verb"))}
	g.installed(m)
	in := g.loggedIn(m)
	if got := in.run("cat /sys/block/sr0/size 2>/dev/null || echo none"); got != "none" {
		g.t.Logf("the guest sees its CD-ROM, of %s sectors", got)
	}
	in.run("echo kept | sudo tee /var/lib/kept >/dev/null; sudo rm -f /etc/dropbear/dropbear_*_host_key; sync")
	start := time.Now()
	image := lastLine(g.hearth("image", "from-server", "--name", "from-verb", m.id))
	g.t.Logf("an image of it in %.1f s", time.Since(start).Seconds())
	made := must(images.Get(g.ctx, g.image, image).Extract())(g.t)
	if made.Status != images.ImageStatusActive || made.DiskFormat != "raw" || made.SizeBytes != 1<<30 {
		g.t.Errorf("the image is %s %s of %d bytes", made.Status, made.DiskFormat, made.SizeBytes)
	}
	g.remove(m)
	again := g.launch(g.flavor(1), wish{name: "again", image: image, network: g.private, key: "me", group: "web"})
	in = g.loggedIn(again)
	if got := in.run("cat /var/lib/kept"); got != "kept" {
		g.t.Errorf("the image's server has %q", got)
	}
	g.remove(again)
}

// installByClient has the CD-ROM be a volume, as nova knows it, which is taken out of
// the running server.
func (g *stage) installByClient(cd string) {
	blank := g.makeVolume("blank")
	body := []string{"--os-compute-api-version", "2.67", "server", "create", "--flavor", "42", "--volume", blank, "--network", g.private, "--key-name", "me", "--security-group", "web"}
	if out, err := g.try(g.theCloud.env, "/usr/bin/openstack", append(body, "alone")...); err == nil || !strings.Contains(out, "not bootable") {
		g.t.Errorf("an empty volume alone: %v, %s", err, out)
	}
	id := g.field("id", append(body, "--block-device", "uuid="+cd+",source_type=image,destination_type=volume,volume_size=1,device_type=cdrom,boot_index=1,delete_on_termination=true", "client")...)
	m := &machine{name: "client", id: id}
	g.installed(m)
	in := g.loggedIn(m)
	width, height := g.screen(m)
	g.t.Logf("its screen has %d by %d points, and something on it", width, height)
	attached := must(volumeattach.ExtractVolumeAttachments(must(volumeattach.List(g.compute, m.id).AllPages(g.ctx))(g.t)))(g.t)
	if len(attached) != 2 || attached[0].VolumeID != blank || attached[1].Device != "/dev/hda" {
		g.t.Fatalf("attached: %+v", attached)
	}
	boot := bootID(in)
	g.detach(m, attached[1].VolumeID)
	if bootID(in) != boot {
		g.t.Error("the guest is another boot")
	}
	g.do(servers.Reboot(g.ctx, g.compute, m.id, servers.RebootOpts{Type: servers.HardReboot}).ExtractErr())
	eventually(g.t, "it boots without the CD-ROM", func() bool {
		now := bootIDOr(sshTo(g.t, "ember", m.float, g.signer))
		return now != "" && now != boot
	})
	g.remove(m)
	g.do(volumes.Delete(g.ctx, g.volume, attached[1].VolumeID, nil).ExtractErr())
	g.do(volumes.Delete(g.ctx, g.volume, blank, nil).ExtractErr())
}

// installed waits until the installer has switched the server off, starts it again,
// and sees on its console that it was installed once.
func (g *stage) installed(m *machine) {
	g.t.Helper()
	start := time.Now()
	g.await(m, "ACTIVE")
	g.await(m, "SHUTOFF")
	log := must(servers.ShowConsoleOutput(g.ctx, g.compute, m.id, servers.ShowConsoleOutputOpts{}).Extract())(g.t)
	if !strings.Contains(log, "installer: done") {
		g.t.Fatalf("it was not installed:\n%s", tail([]byte(log), 3000))
	}
	g.t.Logf("installed in %.1f s", time.Since(start).Seconds())
	g.do(servers.Start(g.ctx, g.compute, m.id).ExtractErr())
}

// loggedIn waits until a server lets one in.
func (g *stage) loggedIn(m *machine) *login {
	g.t.Helper()
	start := time.Now()
	g.ready(m)
	g.giveFloating(m)
	in := sshTo(g.t, "ember", m.float, g.signer)
	g.t.Logf("%s: logged in after %.1f s", m.name, time.Since(start).Seconds())
	return in
}

// installISO makes a bootable CD-ROM: isolinux, a kernel, a ramdisk with the installer,
// and the system that it installs.
func installISO(t *testing.T, ember baked) string {
	t.Helper()
	dir := t.TempDir()
	root, tree := filepath.Join(dir, "root"), filepath.Join(dir, "tree")
	for _, d := range []string{root, tree} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write := func(name string, mode os.FileMode, data []byte) {
		if err := os.WriteFile(name, data, mode); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(root, "init"), 0o755, []byte(installer))
	command(t, "sh", "-c", "gzip -1 -c "+ember.raw+" >"+filepath.Join(tree, "system.gz"))
	command(t, "sh", "-c", "cd "+root+" && find . | cpio -o -H newc --quiet >"+filepath.Join(dir, "more.cpio"))
	ramdisk, more := must(os.ReadFile(ember.ramdisk))(t), must(os.ReadFile(filepath.Join(dir, "more.cpio")))(t)
	for len(ramdisk)%4 != 0 { // archives begin at a multiple of four
		ramdisk = append(ramdisk, 0)
	}
	write(filepath.Join(tree, "initrd"), 0o644, append(ramdisk, more...))
	write(filepath.Join(tree, "vmlinuz"), 0o644, must(os.ReadFile(ember.kernel))(t))
	write(filepath.Join(tree, "isolinux.cfg"), 0o644, []byte("serial 0 115200\ndefault install\nprompt 0\nlabel install\n  kernel /vmlinuz\n  initrd /initrd\n  append console=ttyS0,115200 rdinit=/init quiet\n"))
	command(t, "cp", "/usr/lib/ISOLINUX/isolinux.bin", "/usr/lib/syslinux/modules/bios/ldlinux.c32", tree)
	iso := filepath.Join(dir, "install.iso")
	command(t, "xorriso", "-as", "mkisofs", "-quiet", "-o", iso, "-b", "isolinux.bin", "-c", "boot.cat", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", tree)
	return iso
}
