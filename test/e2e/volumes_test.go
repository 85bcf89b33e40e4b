package e2e

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/attachinterfaces"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/volumeattach"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/subnets"
)

// TestVolumes shows volumes and NICs come and go on real guests: as the guest's
// own kernel sees it.
func TestVolumes(t *testing.T) {
	needE2E(t)
	ember := bakeImage(t, "ember")
	c := newCloud(t, "qemu")
	g := &stage{t: t, theCloud: c, session: c.session(), trio: &trio{}}
	g.bare = g.upload("ember-qcow2", "qcow2", ember.disk, nil)
	signer, public := keyPair(t)
	g.signer, g.private = signer, g.networkNamed("private")
	g.importKey("me", public)
	g.group("web", true, 22)
	booted := g.startFromVolume("root", g.bare)
	for _, name := range []string{"one", "two"} {
		m := g.launch("42", wish{name: name, image: g.bare, network: g.private, key: "me", group: "web"})
		if g.one == nil {
			g.one = m
		}
		g.two = m
	}
	for _, m := range []*machine{g.one, g.two, booted} {
		g.ready(m)
		g.giveFloating(m)
	}
	for _, part := range []struct {
		name string
		run  func(*stage)
	}{
		{"HotPlug", (*stage).hotPlug}, {"Backup", (*stage).backedUp}, {"Swap", (*stage).swapVolume}, {"Killed", (*stage).killedWhilePlugging}, {"Moved", (*stage).moved},
		{"NIC", (*stage).hotNIC}, {"Boot", func(g *stage) { g.bootVolume(booted) }},
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
	g.remove(g.one, g.two)
	g.fsck()
}

// makeVolume makes a volume of 1 GiB and waits until it is there.
func (s *session) makeVolume(name string) string {
	s.t.Helper()
	v := must(volumes.Create(s.ctx, s.volume, volumes.CreateOpts{Name: name, Size: 1}, nil).Extract())(s.t)
	s.awaitVolume(v.ID, "available")
	return v.ID
}

func (s *session) awaitVolume(id, want string) {
	s.t.Helper()
	eventually(s.t, "volume "+id+" is "+want, func() bool {
		v := must(volumes.Get(s.ctx, s.volume, id).Extract())(s.t)
		if strings.HasPrefix(v.Status, "error") {
			s.t.Fatalf("volume %s is %s", id, v.Status)
		}
		return v.Status == want
	})
}

func (s *session) attach(m *machine, volume string) {
	s.t.Helper()
	must(volumeattach.Create(s.ctx, s.compute, m.id, volumeattach.CreateOpts{VolumeID: volume}).Extract())(s.t)
	s.awaitVolume(volume, "in-use")
}

func (s *session) detach(m *machine, volume string) {
	s.t.Helper()
	if err := volumeattach.Delete(s.ctx, s.compute, m.id, volume).ExtractErr(); err != nil {
		s.t.Fatal(err)
	}
	s.awaitVolume(volume, "available")
}

// disk waits until the guest has the volume's disk, and gives its name: vdb. It
// is found by the serial number, as udev makes /dev/disk/by-id of it.
func disk(in *login, volume string) (name string) {
	in.t.Helper()
	eventually(in.t, "the guest has the volume "+volume, func() bool {
		name = in.run("for d in /sys/block/vd*; do [ \"$(cat $d/serial 2>/dev/null)\" = " + volume[:20] + " ] && basename $d; done; true")
		return name != ""
	})
	return name
}

// hotPlug attaches a volume to a guest that runs, extends it there, and takes it
// away.
func (g *stage) hotPlug() {
	in := sshTo(g.t, "ember", g.one.float, g.signer)
	boot, volume := bootID(in), g.makeVolume("data")
	start := time.Now()
	g.attach(g.one, volume)
	name := disk(in, volume)
	g.t.Logf("attached in %d ms", time.Since(start).Milliseconds())
	if name != "vdb" || number(g.t, in.run("cat /sys/block/vdb/size")) != 1<<30/512 {
		g.t.Errorf("the volume is %s, of %s sectors", name, in.run("cat /sys/block/"+name+"/size"))
	}
	in.run("echo kept-in-the-volume | sudo dd of=/dev/vdb bs=512 seek=7 conv=sync,fsync 2>/dev/null")
	volumes42 := *g.volume
	volumes42.Type, volumes42.Microversion = "volume", "3.42" // from which on a volume may be extended while in use
	if err := volumes.ExtendSize(g.ctx, &volumes42, volume, volumes.ExtendSizeOpts{NewSize: 2}).ExtractErr(); err != nil {
		g.t.Errorf("extend: %v", err)
	} else {
		eventually(g.t, "the guest sees 2 GiB", func() bool { return number(g.t, in.run("cat /sys/block/vdb/size")) == 2<<30/512 })
		g.awaitVolume(volume, "in-use")
	}
	start = time.Now()
	g.detach(g.one, volume)
	g.t.Logf("detached in %d ms", time.Since(start).Milliseconds())
	if out, err := in.try("ls /sys/block/vdb"); err == nil {
		g.t.Errorf("the guest has it still: %s", out)
	}
	if bootID(in) != boot {
		g.t.Error("the guest is another boot")
	}
	if err := volumes.Delete(g.ctx, g.volume, volume, nil).ExtractErr(); err != nil {
		g.t.Error(err)
	}
}

// swapVolume has a guest's disk become another volume, while the guest writes to it,
// while it is paused, and with hearth killed at each point of it.
func (g *stage) swapVolume() {
	in := sshTo(g.t, "ember", g.one.float, g.signer)
	boot, now := bootID(in), g.makeVolume("swapped")
	g.attach(g.one, now)
	name := disk(in, now)
	in.run("echo kept-in-the-volume | sudo dd of=/dev/" + name + " bs=512 seek=7 conv=sync,fsync 2>/dev/null")
	old := []string{}
	for i, point := range []string{"", "paused", "instance.swap.alike", "instance.swap.noted", "instance.swap.after"} {
		next, failing := g.makeVolume("swapped"), strings.HasPrefix(point, "instance.")
		if failing {
			g.kill()
			g.up("HEARTH_FAILPOINT=" + point)
		}
		if point == "paused" {
			g.verb("pause", "PAUSED")
		} else {
			in.run("echo " + strconv.Itoa(i) + " | sudo dd of=/dev/" + name + " bs=512 seek=9 conv=sync,fsync 2>/dev/null")
		}
		start := time.Now()
		body := map[string]any{"volumeAttachment": map[string]any{"volumeId": next}}
		resp, err := g.compute.Put(g.ctx, g.compute.ServiceURL("servers", g.one.id, "os-volume_attachments", now), body, nil, &gophercloud.RequestOpts{OkCodes: []int{202}})
		switch {
		case failing:
			g.awaitDeath()
			g.up()
		case err != nil:
			g.t.Fatal(err)
		}
		if resp != nil {
			resp.Body.Close()
		}
		g.awaitVolume(next, "in-use")
		g.awaitVolume(now, "available")
		g.t.Logf("swapped (%s) in %d ms", point, time.Since(start).Milliseconds())
		if point == "paused" {
			g.verb("unpause", "ACTIVE")
		}
		if got := in.run("sudo dd if=/dev/" + name + " bs=512 skip=7 count=1 2>/dev/null | tr -d '\\0'"); got != "kept-in-the-volume" {
			g.t.Errorf("%s: the volume holds %q", point, got)
		}
		old, now = append(old, now), next
	}
	if bootID(in) != boot {
		g.t.Error("the guest is another boot")
	}
	g.detach(g.one, now)
	for _, v := range append(old, now) {
		if err := volumes.Delete(g.ctx, g.volume, v, nil).ExtractErr(); err != nil {
			g.t.Error(err)
		}
	}
}

// killedWhilePlugging kills hearth between what it asks of QEMU and its journal,
// and then brings the volume there all the same.
func (g *stage) killedWhilePlugging() {
	in := sshTo(g.t, "ember", g.two.float, g.signer)
	volume := g.makeVolume("killed")
	for _, point := range []string{"instance.volume.before", "instance.volume.after"} {
		g.kill()
		g.up("HEARTH_FAILPOINT=" + point)
		_, _ = volumeattach.Create(g.ctx, g.compute, g.two.id, volumeattach.CreateOpts{VolumeID: volume}).Extract()
		g.awaitDeath()
		g.up()
		g.awaitVolume(volume, "in-use")
		disk(in, volume)
		g.detach(g.two, volume)
	}
	for _, point := range []string{"instance.unplug.before", "instance.unplug.after"} {
		g.attach(g.two, volume)
		disk(in, volume)
		g.kill()
		g.up("HEARTH_FAILPOINT=" + point)
		_ = volumeattach.Delete(g.ctx, g.compute, g.two.id, volume).ExtractErr()
		g.awaitDeath()
		g.up()
		g.awaitVolume(volume, "available")
	}
	if err := volumes.Delete(g.ctx, g.volume, volume, nil).ExtractErr(); err != nil {
		g.t.Error(err)
	}
}

// moved attaches a volume that was written elsewhere to a server that is off: at
// its start it is there with all that it holds.
func (g *stage) moved() {
	volume := g.makeVolume("moved")
	one := sshTo(g.t, "ember", g.one.float, g.signer)
	g.attach(g.one, volume)
	one.run("echo kept-in-the-volume | sudo dd of=/dev/" + disk(one, volume) + " bs=512 seek=7 conv=sync,fsync 2>/dev/null")
	g.detach(g.one, volume)

	g.do(servers.Stop(g.ctx, g.compute, g.two.id).ExtractErr())
	g.await(g.two, "SHUTOFF")
	g.attach(g.two, volume)
	g.do(servers.Start(g.ctx, g.compute, g.two.id).ExtractErr())
	g.await(g.two, "ACTIVE")
	in := sshTo(g.t, "ember", g.two.float, g.signer)
	if got := in.run("sudo dd if=/dev/" + disk(in, volume) + " bs=512 skip=7 count=1 2>/dev/null | tr -d '\\0'"); got != "kept-in-the-volume" {
		g.t.Errorf("the volume holds %q", got)
	}
	if _, err := volumeattach.Create(g.ctx, g.compute, g.one.id, volumeattach.CreateOpts{VolumeID: volume}).Extract(); err == nil {
		g.t.Error("the volume went to a second server")
	}
	g.detach(g.two, volume)
}

// hotNIC gives a running guest a card on a network of its own, which gets its
// address there by DHCP, and takes it away again.
func (g *stage) hotNIC() {
	net := must(networks.Create(g.ctx, g.network, networks.CreateOpts{Name: "late"}).Extract())(g.t)
	must(subnets.Create(g.ctx, g.network, subnets.CreateOpts{NetworkID: net.ID, CIDR: "10.99.0.0/24", IPVersion: gophercloud.IPv4}).Extract())(g.t)
	in := sshTo(g.t, "ember", g.one.float, g.signer)
	start := time.Now()
	nic := must(attachinterfaces.Create(g.ctx, g.compute, g.one.id, attachinterfaces.CreateOpts{NetworkID: net.ID}).Extract())(g.t)
	card := func() string { return in.run("grep -l " + nic.MACAddr + " /sys/class/net/*/address || true") }
	eventually(g.t, "the guest has the card", func() bool { return card() != "" })
	g.t.Logf("attached in %d ms", time.Since(start).Milliseconds())
	name := strings.Split(card(), "/")[4]
	in.run("sudo ip link set " + name + " up; sudo udhcpc -n -q -t 20 -s /etc/udhcpc.script -i " + name)
	if got := in.run("ip -4 -o addr show dev " + name); !strings.Contains(got, " "+nic.FixedIPs[0].IPAddress+"/24 ") {
		g.t.Errorf("its address is not %s: %s", nic.FixedIPs[0].IPAddress, got)
	}
	if !pings(in, "", "10.99.0.2") && !pings(in, "", "10.99.0.1") {
		g.t.Log("nobody answers on the network, which has the DHCP server alone")
	}
	g.do(attachinterfaces.Delete(g.ctx, g.compute, g.one.id, nic.PortID).ExtractErr())
	eventually(g.t, "the guest has lost the card", func() bool { return card() == "" })
	in.run("true") // by the first card, which stays
	g.do(networks.Delete(g.ctx, g.network, net.ID).ExtractErr())
}

// startFromVolume asks for a server that boots from a volume made of an image,
// which goes with it.
func (s *session) startFromVolume(name, image string) *machine {
	s.t.Helper()
	opts := servers.CreateOpts{
		Name: name, FlavorRef: "42", Networks: []servers.Network{{UUID: s.networkNamed("private")}}, SecurityGroups: []string{"web"},
		BlockDevice: []servers.BlockDevice{{
			SourceType: servers.SourceImage, DestinationType: servers.DestinationVolume, UUID: image, VolumeSize: 2, BootIndex: 0, DeleteOnTermination: true,
		}},
	}
	made := must(servers.Create(s.ctx, s.compute, withKey{opts, "me"}, nil).Extract())(s.t)
	return &machine{name: name, id: made.ID}
}

// withKey adds a key's name to what a server is made of.
type withKey struct {
	servers.CreateOptsBuilder
	key string
}

// ToServerCreateMap implements servers.CreateOptsBuilder.
func (w withKey) ToServerCreateMap() (map[string]any, error) {
	m, err := w.CreateOptsBuilder.ToServerCreateMap()
	if err == nil {
		m["server"].(map[string]any)["key_name"] = w.key
	}
	return m, err
}

// bootVolume looks at a guest that runs from a volume, and sees the volume go with
// it.
func (g *stage) bootVolume(m *machine) {
	in := sshTo(g.t, "ember", m.float, g.signer)
	attached := must(volumeattach.ExtractVolumeAttachments(must(volumeattach.List(g.compute, m.id).AllPages(g.ctx))(g.t)))(g.t)
	if len(attached) != 1 {
		g.t.Fatalf("%d volumes", len(attached))
	}
	if name := disk(in, attached[0].VolumeID); name != "vda" {
		g.t.Errorf("the boot volume is %s", name)
	}
	checkDisk(g.t, in, 2)
	in.run("sudo sh -c 'echo kept > /var/lib/kept; sync'")
	g.do(servers.Reboot(g.ctx, g.compute, m.id, servers.RebootOpts{Type: servers.HardReboot}).ExtractErr())
	g.await(m, "ACTIVE")
	boot := bootIDOr(in)
	eventually(g.t, "it is another boot", func() bool {
		in = sshTo(g.t, "ember", m.float, g.signer)
		return bootIDOr(in) != boot || boot == ""
	})
	if got := in.run("cat /var/lib/kept"); got != "kept" {
		g.t.Errorf("the volume lost what was written: %q", got)
	}
	g.do(servers.Delete(g.ctx, g.compute, m.id).ExtractErr())
	eventually(g.t, "the volume went with its server", func() bool {
		return gone(volumes.Get(g.ctx, g.volume, attached[0].VolumeID).Err)
	})
}

// bootIDOr is the boot's id, "" when the guest does not answer.
func bootIDOr(in *login) string {
	id, err := in.try("cat /proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return id
}
