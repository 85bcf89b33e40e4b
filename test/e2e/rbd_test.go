package e2e

import (
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/schedulerstats"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumetypes"

	"hearth/internal/driver/storage/rbd/cephtest"
)

// TestRBD shows a guest boot from a volume in a Ceph cluster, and another volume come, grow
// and go while it runs.
func TestRBD(t *testing.T) {
	needE2E(t)
	ceph := cephtest.Start(t)
	ember := bakeImage(t, "ember")
	c := newCloud(t, "qemu", "HEARTH_VOLUME_BACKENDS=[{name: file}, {name: ceph, driver: rbd, pool: "+ceph.Pool+", options: {conf: "+ceph.Conf+", keyring: "+ceph.Keyring+"}}]")
	g := &stage{t: t, theCloud: c, session: c.session(), trio: &trio{}}
	signer, public := keyPair(t)
	g.signer, g.private = signer, g.networkNamed("private")
	g.importKey("me", public)
	g.group("web", true, 22)
	must(volumetypes.Create(g.ctx, g.volume, volumetypes.CreateOpts{Name: "ceph", ExtraSpecs: map[string]string{"volume_backend_name": "ceph"}}).Extract())(t)
	eventually(t, "the pool tells its room", func() bool {
		for _, p := range must(schedulerstats.ExtractStoragePools(must(schedulerstats.List(g.volume, schedulerstats.ListOpts{Detail: true}).AllPages(g.ctx))(t)))(t) {
			if strings.Contains(p.Name, "@ceph") && p.Capabilities.FreeCapacityGB > 0 {
				return true
			}
		}
		return false
	})
	image := g.upload("ember", "qcow2", ember.disk, nil)
	made := func(name, image string) string {
		v := must(volumes.Create(g.ctx, g.volume, volumes.CreateOpts{Name: name, Size: 1, VolumeType: "ceph", ImageID: image}, nil).Extract())(t)
		g.awaitVolume(v.ID, "available")
		return v.ID
	}
	root, data := made("root", image), made("data", "")
	if out := g.hearth("volume", "where", root); !strings.Contains(out, "rbd:"+ceph.Pool+"/d-volume-"+root) {
		t.Errorf("the volume is elsewhere:\n%s", out)
	}
	m := g.startOn("clustered", root)
	in := g.loggedIn(m)
	if name := disk(in, root); name != "vda" {
		t.Errorf("the boot volume is %s", name)
	}
	in.run("echo kept | sudo tee /var/lib/kept; sync")

	g.attach(m, data)
	name := disk(in, data)
	in.run("echo kept-in-the-volume | sudo dd of=/dev/" + name + " bs=512 seek=7 conv=sync,fsync 2>/dev/null")
	larger := *g.volume
	larger.Type, larger.Microversion = "volume", "3.42" // from which on a volume may be extended while in use
	g.do(volumes.ExtendSize(g.ctx, &larger, data, volumes.ExtendSizeOpts{NewSize: 2}).ExtractErr())
	eventually(t, "the guest sees 2 GiB", func() bool { return number(t, in.run("cat /sys/block/"+name+"/size")) == 2<<30/512 })
	g.awaitVolume(data, "in-use")
	g.detach(m, data)
	g.attach(m, data)
	if got := in.run("sudo dd if=/dev/" + disk(in, data) + " bs=512 skip=7 count=1 2>/dev/null | tr -d '\\0'"); got != "kept-in-the-volume" {
		t.Errorf("the volume holds %q", got)
	}
	if secrets := g.hearth("volume", "where", data); strings.Contains(secrets, "key=") {
		t.Error("the cluster's key is shown")
	}
	g.remove(m)
	g.awaitVolume(data, "available")
	for _, v := range []string{root, data} {
		g.awaitVolume(v, "available")
		g.do(volumes.Delete(g.ctx, g.volume, v, nil).ExtractErr())
	}
	for _, v := range []string{root, data} {
		eventually(t, "the volume is gone", func() bool { return gone(volumes.Get(g.ctx, g.volume, v).Err) })
	}
	g.fsck()
}
