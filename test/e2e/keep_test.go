package e2e

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/instanceactions"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/keypairs"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
)

// TestKeep is about servers that are meant to last: one real guest is deleted and
// brought back, and its root disk becomes a volume, with what it holds.
func TestKeep(t *testing.T) {
	needE2E(t)
	ember := bakeImage(t, "ember")
	c := newCloud(t, "qemu", "HEARTH_COMPUTE_RECLAIM_INTERVAL=1h", "HEARTH_NODE=keep", "HEARTH_NETWORK_PUBLIC_INTERFACE=hearth-keep",
		"HEARTH_NETWORK_PUBLIC_CIDR=172.24.51.0/24", "HEARTH_NETWORK_PUBLIC_CIDR6=2001:db8:51::/64")
	g := &stage{t: t, theCloud: c, session: c.session(), trio: &trio{}}
	g.bare = g.upload("ember-qcow2", "qcow2", ember.disk, nil)
	signer, public := keyPair(t)
	g.signer, g.private = signer, g.networkNamed("private")
	g.importKey("me", public)
	g.group("web", true, 22)
	g.one = g.launchScratch(g.scratchFlavor())
	g.ready(g.one)
	g.giveFloating(g.one)
	sshTo(t, "ember", g.one.float, signer).run("sudo sh -c 'echo kept > /var/lib/kept; sync'")
	for _, part := range []struct {
		name string
		run  func(*stage)
	}{
		{"Trash", (*stage).trash}, {"Protect", (*stage).protect}, {"Rename", (*stage).rename}, {"Untaken", (*stage).untaken}, {"MountRoot", (*stage).mountDisk}, {"RootToVolume", (*stage).rootToVolume},
		{"MountVolume", (*stage).mountDisk}, {"Empty", (*stage).emptyTrash},
	} {
		ok := t.Run(part.name, func(t *testing.T) {
			start := time.Now()
			defer func() { t.Logf("%.1f s", time.Since(start).Seconds()) }()
			part.run(g.in(t))
		})
		if !ok {
			t.Fatal("what follows needs it")
		}
	}
	g.fsck()
	g.noGuestsLeft()
}

// scratchFlavor gives a flavor with 2 GB of ephemeral disk and some swap.
func (g *stage) scratchFlavor() string {
	disk, ephemeral, swap := 2, 2, 64
	return must(flavors.Create(g.ctx, g.compute, flavors.CreateOpts{
		ID: "e2e.keep", Name: "e2e.keep", RAM: 256, VCPUs: 1, Disk: &disk, Ephemeral: &ephemeral, Swap: &swap,
	}).Extract())(g.t).ID
}

// launchScratch asks for the server one, with a config drive and two ephemeral disks.
func (g *stage) launchScratch(flavor string) *machine {
	drive := true
	local := func(index, gb int) servers.BlockDevice {
		d := servers.BlockDevice{SourceType: servers.SourceBlank, DestinationType: servers.DestinationLocal, BootIndex: index, VolumeSize: gb, DeleteOnTermination: true}
		if index == 0 {
			d.SourceType, d.UUID, d.VolumeSize = servers.SourceImage, g.bare, 0
		}
		return d
	}
	made := must(servers.Create(g.ctx, g.compute, keypairs.CreateOptsExt{KeyName: "me", CreateOptsBuilder: servers.CreateOpts{
		Name: "one", ImageRef: g.bare, FlavorRef: flavor, Networks: []servers.Network{{UUID: g.private}}, SecurityGroups: []string{"web"}, ConfigDrive: &drive,
		BlockDevice: []servers.BlockDevice{local(0, 0), local(-1, 1), local(-1, 1)},
	}}, nil).Extract())(g.t)
	return &machine{name: "one", id: made.ID}
}

// rename gives the server names that no hostname is, and one of five labels: the
// guest has it from its next boot on, its config drive too, and the network's DNS at
// once.
func (g *stage) rename() {
	g.client("openstack", "server", "set", "--name", "Grüße, 東京 (2)", g.one.id)
	boot := bootID(g.inside())
	reboot := func() *login {
		g.do(servers.Reboot(g.ctx, g.compute, g.one.id, servers.RebootOpts{Type: servers.SoftReboot}).ExtractErr())
		eventually(g.t, "the guest is another boot", func() bool { return g.status(g.one) == "ACTIVE" && rebooted(g, boot) })
		in := g.inside()
		boot = bootID(in)
		return in
	}
	if got := reboot().run("hostname"); got != "gre--2" {
		g.t.Errorf("the host name is %q", got)
	}
	const long = "web.a.b.example.org"
	g.client("openstack", "--os-compute-api-version", "2.90", "server", "set", "--name", "one", "--hostname", long, g.one.id)
	in := g.inside()
	eventually(g.t, "the network knows the name", func() bool {
		out, _ := in.try("nslookup " + long + " 2>&1")
		return strings.Contains(out, g.one.fixed4)
	})
	in = reboot()
	if got := in.run("hostname; grep 127.0.1.1 /etc/hosts"); got != "web\n127.0.1.1\t"+long+" web" {
		g.t.Errorf("the guest calls itself %q", got)
	}
	const drive = `for d in /sys/block/vd*; do [ "$(cat $d/ro)" = 1 ] && sudo grep -c ` + long + ` /dev/${d##*/}; done; true`
	if got := in.run(drive); got == "" || got == "0" {
		g.t.Errorf("the config drive does not say %s: %q", long, got)
	}
}

// untaken attaches a volume while the guest's kernel binds no driver, and lets it
// bind one later.
func (g *stage) untaken() {
	in, volume := g.inside(), g.makeVolume("untaken")
	in.run("sudo sh -c 'echo 0 > /sys/bus/virtio/drivers_autoprobe'")
	g.attach(g.one, volume)
	const words = "the guest has not taken it"
	eventually(g.t, "explain says so", func() bool { return strings.Contains(g.hearth("explain", "server", g.one.id), words) })
	eventually(g.t, "the action says so", func() bool {
		list := must(instanceactions.ExtractInstanceActions(must(instanceactions.List(g.compute, g.one.id, nil).AllPages(g.ctx))(g.t)))(g.t)
		return list[0].Action == "attach_volume" && strings.Contains(list[0].Message, words)
	})
	in.run(`sudo sh -c 'echo 1 > /sys/bus/virtio/drivers_autoprobe; for d in /sys/bus/virtio/devices/*; do [ -e $d/driver ] || echo ${d##*/} > /sys/bus/virtio/drivers_probe; done'`)
	disk(in, volume)
	eventually(g.t, "explain says so no more", func() bool { return !strings.Contains(g.hearth("explain", "server", g.one.id), words) })
	g.detach(g.one, volume)
	start := time.Now()
	g.attach(g.one, volume)
	disk(in, volume)
	g.t.Logf("taken in %d ms", time.Since(start).Milliseconds())
	if out := g.hearth("explain", "server", g.one.id); strings.Contains(out, words) {
		g.t.Errorf("it was taken: %s", out)
	}
	g.detach(g.one, volume)
	g.do(volumes.Delete(g.ctx, g.volume, volume, nil).ExtractErr())
}

// trash deletes the guest, which is off and hidden then but has all its own, kills
// hearth, and brings it back.
func (g *stage) trash() {
	boot := bootID(sshTo(g.t, "ember", g.one.float, g.signer))
	g.do(servers.Delete(g.ctx, g.compute, g.one.id).ExtractErr())
	g.await(g.one, "SOFT_DELETED")
	eventually(g.t, "the guest is off", func() bool { return !open(g.one.float, 22) })
	pages := must(servers.List(g.compute, servers.ListOpts{}).AllPages(g.ctx))(g.t)
	if list := must(servers.ExtractServers(pages))(g.t); len(list) != 0 {
		g.t.Errorf("a deleted server is listed: %+v", list)
	}
	g.kill()
	g.up()
	if out := g.hearth("trash", "list"); !strings.Contains(out, g.one.id) || !strings.Contains(out, "one") {
		g.t.Errorf("hearth trash list: %s", out)
	}
	g.hearth("trash", "restore", "one")
	g.await(g.one, "ACTIVE")
	in := g.inside()
	if now := bootID(in); now == boot {
		g.t.Error("it is the same boot")
	}
}

// protect has a delete refused.
func (g *stage) protect() {
	g.hearth("server", "protect", "one")
	if err := servers.Delete(g.ctx, g.compute, g.one.id).ExtractErr(); !gophercloud.ResponseCodeIs(err, http.StatusConflict) {
		g.t.Errorf("a protected server is deleted: %v", err)
	}
	if err := servers.ForceDelete(g.ctx, g.compute, g.one.id).ExtractErr(); !gophercloud.ResponseCodeIs(err, http.StatusConflict) {
		g.t.Errorf("a protected server is deleted by force: %v", err)
	}
	g.hearth("server", "unprotect", "one")
	g.inside()
}

// rootToVolume has the root disk become a volume, with hearth killed on the way, and
// boots from it.
func (g *stage) rootToVolume() {
	g.do(servers.Stop(g.ctx, g.compute, g.one.id).ExtractErr())
	g.await(g.one, "SHUTOFF")
	g.kill()
	g.up("HEARTH_FAILPOINT=reconcile.volume.apply.after")
	_, _ = g.theCloud.try(append(os.Environ(), g.conf...), g.bin, "server", "root-to-volume", "one", "--size", "3")
	g.awaitDeath()
	for _, point := range []string{"reconcile.rootvolume.after", "instance.tidy.before", "instance.tidy.after"} {
		g.up("HEARTH_FAILPOINT=" + point)
		g.awaitDeath()
	}
	g.up()
	id := ""
	eventually(g.t, "the server has the volume", func() bool {
		s := must(servers.Get(g.ctx, g.compute, g.one.id).Extract())(g.t)
		if len(s.AttachedVolumes) == 1 {
			id = s.AttachedVolumes[0].ID
		}
		return id != "" && s.TaskState == "" && len(s.Image) == 0
	})
	g.awaitVolume(id, "in-use")
	v := must(volumes.Get(g.ctx, g.volume, id).Extract())(g.t)
	if v.Size != 3 || v.Bootable != "true" {
		g.t.Errorf("the volume is %+v", v)
	}
	g.do(servers.Start(g.ctx, g.compute, g.one.id).ExtractErr())
	g.await(g.one, "ACTIVE")
	in := g.inside()
	checkDisk(g.t, in, 3)
	if got := in.run("ls /dev/disk/by-id 2>/dev/null; cat /sys/block/vda/serial"); !strings.Contains(got, id[:20]) {
		g.t.Errorf("vda is not the volume %s: %s", id, got)
	}
	if got := in.run("cat /sys/block/vdb/size /sys/block/vdc/size /sys/block/vdd/size"); got != fmt.Sprintf("%d\n%d\n%d", 1<<30/512, 1<<30/512, 64<<20/512) {
		g.t.Errorf("the ephemeral disks and the swap disk have %s sectors", got)
	}
	for disk, label := range map[string]string{"vdb": "ephemeral0", "vdc": "ephemeral1"} {
		if got := in.run("sudo dd if=/dev/" + disk + " bs=1 skip=1144 count=10 2>/dev/null"); got != label {
			g.t.Errorf("%s is labelled %q", disk, got)
		}
	}
	if left := g.rootDisks(); len(left) > 0 {
		g.t.Errorf("root disks are left: %v", left)
	}
}

// rootDisks are the root disks of the guest that are there.
func (g *stage) rootDisks() (found []string) {
	err := filepath.WalkDir(g.data, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(filepath.Base(path), g.one.id+"-root") {
			found = append(found, path)
		}
		return nil
	})
	g.do(err)
	return found
}

// emptyTrash deletes the server for good; its volume stays.
func (g *stage) emptyTrash() {
	id := must(servers.Get(g.ctx, g.compute, g.one.id).Extract())(g.t).AttachedVolumes[0].ID
	g.do(servers.Delete(g.ctx, g.compute, g.one.id).ExtractErr())
	g.await(g.one, "SOFT_DELETED")
	if v := must(volumes.Get(g.ctx, g.volume, id).Extract())(g.t); v.Status != "in-use" {
		g.t.Errorf("the volume of a server in the trash is %s", v.Status)
	}
	g.hearth("trash", "empty")
	eventually(g.t, "it is gone", func() bool {
		_, err := servers.Get(g.ctx, g.compute, g.one.id).Extract()
		return gone(err)
	})
	g.awaitVolume(id, "available")
	g.do(volumes.Delete(g.ctx, g.volume, id, nil).ExtractErr())
}
