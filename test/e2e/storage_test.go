package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumetypes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
)

// TestStorage shows, on one guest, that a disk of another hypervisor becomes a volume
// of a backend that is a program, and boots; that a volume which the cloud formatted is
// mounted when the guest boots, and another when it is plugged in.
func TestStorage(t *testing.T) {
	needE2E(t)
	ember := bakeImage(t, "ember")
	dir := tempDir(t)
	plugin, kept, vmdk := filepath.Join(dir, "storageplugin"), filepath.Join(dir, "kept"), filepath.Join(dir, "ember.vmdk")
	command(t, "go", "build", "-o", plugin, "hearth/test/storageplugin")
	command(t, "qemu-img", "convert", "-f", "qcow2", "-O", "vmdk", "-o", "subformat=streamOptimized", ember.disk, vmdk)
	c := newCloud(t, "qemu", "HEARTH_VOLUME_BACKENDS=[{name: file}, {name: own, plugin: "+plugin+", options: {dir: "+kept+"}}]")
	g := &stage{t: t, theCloud: c, session: c.session(), trio: &trio{}}
	signer, public := keyPair(t)
	g.signer, g.private = signer, g.networkNamed("private")
	g.importKey("me", public)
	g.group("web", true, 22)
	must(volumetypes.Create(g.ctx, g.volume, volumetypes.CreateOpts{Name: "own", ExtraSpecs: map[string]string{"volume_backend_name": "own"}}).Extract())(t)

	if out := g.hearth("volume", "driver-test", "own"); !strings.Contains(out, "24 of 24 cases passed") {
		t.Errorf("driver-test:\n%s", out)
	}
	root := lastLine(g.hearth("volume", "import", "--type", "own", "--size", "2", vmdk))
	data := lastLine(g.hearth("volume", "create", "--size", "1", "--fs", "ext4", "--mount", "/data", "data"))
	if out := g.hearth("volume", "where", root); !strings.Contains(out, kept) {
		t.Errorf("the volume is not where the plug-in keeps it:\n%s", out)
	}
	m := g.startOn("imported", root, data)
	g.ready(m)
	g.giveFloating(m)
	in := sshTo(t, "ember", m.float, g.signer)
	if name := disk(in, root); name != "vda" {
		t.Errorf("the boot volume is %s", name)
	}
	checkMount(in, "/data", disk(in, data))
	in.run("sudo sh -c 'echo kept > /data/kept; sync'")

	late := lastLine(g.hearth("volume", "create", "--type", "own", "--fs", "ext4", "--label", "late", "--mount", "/srv/late", "late"))
	g.attach(m, late)
	name := disk(in, late)
	eventually(t, "the volume that came is mounted", func() bool { return strings.Contains(in.run("cat /proc/mounts"), " /srv/late ") })
	checkMount(in, "/srv/late", name)
	in.run("sudo umount /srv/late")
	g.detach(m, late)

	boot := bootIDOr(in)
	g.do(servers.Reboot(g.ctx, g.compute, m.id, servers.RebootOpts{Type: servers.HardReboot}).ExtractErr())
	g.await(m, "ACTIVE")
	eventually(t, "it is another boot", func() bool {
		in = sshTo(t, "ember", m.float, g.signer)
		return bootIDOr(in) != boot
	})
	if got := in.run("cat /data/kept"); got != "kept" {
		t.Errorf("/data holds %q", got)
	}
	g.remove(m)
	for _, v := range []string{root, data, late} {
		g.awaitVolume(v, "available")
		g.do(volumes.Delete(g.ctx, g.volume, v, nil).ExtractErr())
	}
	g.fsck()
}

// checkMount looks whether a device is mounted, and takes what is written.
func checkMount(in *login, path, name string) {
	in.t.Helper()
	if got := in.run("grep ' " + path + " ' /proc/mounts; true"); !strings.HasPrefix(got, "/dev/"+name+" "+path+" ext4 rw") {
		in.t.Errorf("mounted at %s: %q; want /dev/%s", path, got, name)
	}
}

// startOn asks for a server that boots from one volume and has others.
func (s *session) startOn(name string, ids ...string) *machine {
	s.t.Helper()
	opts := servers.CreateOpts{Name: name, FlavorRef: "42", Networks: []servers.Network{{UUID: s.networkNamed("private")}}, SecurityGroups: []string{"web"}}
	for i, id := range ids {
		index := -1
		if i == 0 {
			index = 0
		}
		opts.BlockDevice = append(opts.BlockDevice, servers.BlockDevice{SourceType: servers.SourceVolume, DestinationType: servers.DestinationVolume, UUID: id, BootIndex: index})
	}
	made := must(servers.Create(s.ctx, s.compute, withKey{opts, "me"}, nil).Extract())(s.t)
	return &machine{name: name, id: made.ID}
}

func lastLine(out string) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return lines[len(lines)-1]
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}
