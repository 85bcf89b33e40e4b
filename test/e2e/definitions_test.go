package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/keypairs"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/limits"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"
	"golang.org/x/crypto/ssh"
)

// defined is the stage of TestDefinitions.
type defined struct {
	*session
	c      *theCloud
	dir    string
	signer ssh.Signer
}

// newDefined is a cloud with a key and a group for its guests, and a baked ember.
func newDefined(t *testing.T) (*defined, baked) {
	t.Helper()
	ember := bakeImage(t, "ember")
	c := newCloud(t, "qemu", "HEARTH_IDENTITY_BCRYPT_COST=4")
	g := &defined{session: c.session(), c: c, dir: tempDir(t)}
	signer, public := keyPair(t)
	g.signer = signer
	g.importKey("me", public)
	g.group("web", true, 22)
	return g, ember
}

// TestDefinitions has definitions kept by the cloud make servers of a tarball, of a
// whole disk and of an AMI; edits one, has one fail, and kills the cloud in the middle.
func TestDefinitions(t *testing.T) {
	needE2E(t)
	if os.Getenv("HEARTH_E2E_ALL") != "1" {
		t.Skip("boots five guests: 'make e2e-all' runs this")
	}
	g, ember := newDefined(t)
	c := g.c
	packed := filepath.Join(g.dir, "ember.tar.zst")
	c.hearth("image", "convert", ember.disk, "--to", "tar.zst", "-o", packed)
	tarball := g.upload("ember-tar", "raw", packed, nil)
	whole := g.upload("ember", "qcow2", ember.disk, map[string]string{"os_distro": "ember", "os_version": "1", "architecture": "x86_64"})

	g.overlay("rack {{.Settings.RACK}} of {{.Hostname}}\n")
	g.put("web", "SWAP: 'yes'\n  SWAP_SIZE: '64'\n  FILESYSTEM: ext4\n  KERNEL_ARGS: hearth.mark=1\n  OVERLAY: site\n  CINIT_USER: ops", "extra: {RACK: r7}", "mkdir -p $TARGET/srv; echo \"$INSTANCE_NAME $IMAGE_TYPE\" > $TARGET/srv/hook; echo the hook was here")
	t.Run("tarball", func(t *testing.T) { g.in(t).tarball(tarball) })
	t.Run("edited", func(t *testing.T) { g.in(t).edited(whole) })
	t.Run("kernel outside", func(t *testing.T) { g.in(t).outside(ember) })
	t.Run("failing", func(t *testing.T) { g.in(t).failing(tarball) })
	t.Run("killed", func(t *testing.T) { g.in(t).killed(tarball) })
}

func (g *defined) in(t *testing.T) *defined {
	sub := *g
	sub.session, sub.c = g.session.in(t), g.c.in(t)
	return &sub
}

// own runs the binary against the cloud as any client would.
func (g *defined) own(args ...string) string { return g.c.run(g.c.env, g.c.bin, args...) }

// overlay puts one with a template.
func (g *defined) overlay(motd string) {
	g.t.Helper()
	dir := filepath.Join(g.dir, "overlay")
	if err := os.MkdirAll(filepath.Join(dir, "etc"), 0o755); err != nil {
		g.t.Fatal(err)
	}
	for name, text := range map[string]string{"etc/motd.hearth-template": motd, ".profile": "# dot\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			g.t.Fatal(err)
		}
	}
	g.t.Logf("overlay %s", g.own("os-def", "overlay", "put", "site", dir))
}

// put keeps a definition.
func (g *defined) put(name, settings, more, hook string) {
	g.t.Helper()
	file := filepath.Join(g.dir, name+".yaml")
	text := fmt.Sprintf("name: %s\nsettings:\n  %s\n%s\nhooks:\n  10-site: |\n    #!/bin/sh\n    %s\n", name, settings, more, hook)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		g.t.Fatal(err)
	}
	g.t.Logf("definition %s", g.own("os-def", "import", file))
}

// by asks for a server by a definition.
func (g *defined) by(name, image string, gb int, meta map[string]string) *machine {
	g.t.Helper()
	opts := servers.CreateOpts{Name: name, ImageRef: image, FlavorRef: g.flavor(gb), Metadata: meta, SecurityGroups: []string{"web"},
		Networks: []servers.Network{{UUID: g.networkNamed("private")}}}
	made := must(servers.Create(g.ctx, g.compute, keypairs.CreateOptsExt{CreateOptsBuilder: opts, KeyName: "me"}, nil).Extract())(g.t)
	return &machine{name: name, id: made.ID}
}

// login waits for a server and logs in.
func (g *defined) login(m *machine) *login {
	g.t.Helper()
	start := time.Now()
	g.ready(m)
	g.t.Logf("%s is ACTIVE after %.1f s", m.name, time.Since(start).Seconds())
	g.giveFloating(m)
	in := sshTo(g.t, "ember", m.float, g.signer)
	g.t.Logf("%s lets in after %.1f s", m.name, time.Since(start).Seconds())
	return in
}

// marked wants a word on the kernel's command line once.
func (g *defined) marked(in *login, word string) {
	g.t.Helper()
	if line := in.run("cat /proc/cmdline"); strings.Count(line, word) != 1 {
		g.t.Errorf("%s is not there once: %s", word, line)
	}
}

// tarball boots one that was laid out, and looks at all that the definition did.
func (g *defined) tarball(image string) {
	m := g.by("laid", image, 2, map[string]string{"hearth:os_definition": "web"})
	in := g.login(m)
	g.c.awaitConsole(m.id, "login:")
	g.marked(in, "hearth.mark=1")
	for command, want := range map[string]string{"cat /srv/hook": "laid tarball", "cat /etc/motd": "rack r7 of laid", "hostname": "laid",
		"cat /sys/block/vda/vda1/size /sys/block/vda/vda2/size": "204800\n131072"} {
		if got := in.run(command); got != want {
			g.t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
	if got := in.run("wget -qO- http://169.254.169.254/openstack/latest/vendor_data.json"); !strings.Contains(got, "name: ops") {
		g.t.Errorf("vendor data: %s", got)
	}
	log := g.own("job", "log", "laid", "--level", "debug")
	for _, want := range []string{"create req-", "compute_deploy_fill", "compute_deploy_hooks", "hook 10-site ended well", "the hook was here", "compute_guest", "Success"} {
		if !strings.Contains(log, want) {
			g.t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	g.t.Logf("its log:\n%s", log)
	g.remove(m)
	g.c.fsck()
}

// edited changes the definition and its overlay: the next server is by the new ones,
// at once, of an image that an alias names, and its root fills the disk.
func (g *defined) edited(image string) {
	g.overlay("second\n")
	g.put("web", "KERNEL_ARGS: hearth.mark=2\n  OVERLAY: site", "extra: {RACK: r8}", "grep -q second $TARGET/etc/motd && echo $RACK > $TARGET/etc/rack")
	if got := g.own("os-def", "history", "web"); !strings.Contains(got, "web@1") || !strings.Contains(got, "web@2") {
		g.t.Errorf("the history is:\n%s", got)
	}
	if got := g.own("os-def", "diff", "web"); !strings.Contains(got, "hearth.mark=2") || !strings.Contains(got, "hearth.mark=1") {
		g.t.Errorf("the difference is:\n%s", got)
	}
	id := strings.TrimSpace(g.c.client("openstack", "server", "create", "--image", "ember:latest", "--flavor", g.flavor(10), "--network", "private", "--security-group", "web", "--key-name", "me",
		"--property", "hearth:os_definition=web", "-f", "value", "-c", "id", "second"))
	m := &machine{name: "second", id: id}
	if got := must(servers.Get(g.ctx, g.compute, id).Extract())(g.t).Image["id"]; got != image {
		g.t.Errorf("ember:latest is %v, want %s", got, image)
	}
	in := g.login(m)
	g.marked(in, "hearth.mark=2")
	checkDisk(g.t, in, 10)
	if got := in.run("cat /etc/motd /etc/rack"); got != "second\nr8" {
		g.t.Errorf("%q", got)
	}
	g.remove(m)
}

// outside boots a kernel of an AMI: the words of the definition are on its line once.
func (g *defined) outside(ember baked) {
	kernel, ramdisk := g.upload("ember-aki", "aki", ember.kernel, nil), g.upload("ember-ari", "ari", ember.ramdisk, nil)
	ami := g.upload("ember-ami", "ami", ember.root, map[string]string{"kernel_id": kernel, "ramdisk_id": ramdisk, "os_command_line": "hearth.mark=2 quiet"})
	m := g.by("outside", ami, 2, map[string]string{"hearth:os_definition": "web"})
	in := g.login(m)
	g.marked(in, "hearth.mark=2")
	if got := in.run("cat /etc/motd"); got != "second" {
		g.t.Errorf("%q", got)
	}
	g.remove(m)
}

// failing has a hook that says no: the server tells why, and nothing is left.
func (g *defined) failing(image string) {
	g.put("bad", "SWAP: 'no'", "", "echo no such rack: $RACK >&2; exit 7")
	before := g.disks()
	m := g.by("failing", image, 2, map[string]string{"hearth:os_definition": "bad", "hearth:os:RACK": "r99"})
	g.await(m, "ERROR")
	shown := g.c.client("openstack", "server", "show", m.id)
	for _, want := range []string{"10-site", "no such rack: r99", "exit status 7", "bad@1"} {
		if !strings.Contains(shown, want) {
			g.t.Errorf("'openstack server show' lacks %q:\n%s", want, shown)
		}
	}
	if after := g.disks(); strings.Join(after, " ") != strings.Join(before, " ") {
		g.t.Errorf("disks are left: %v, were %v", after, before)
	}
	g.c.fsck()
	g.remove(m)
	if all := must(ports.ExtractPorts(must(ports.List(g.network, ports.ListOpts{DeviceID: m.id}).AllPages(g.ctx))(g.t)))(g.t); len(all) > 0 {
		g.t.Errorf("ports are left: %v", all)
	}
	if l := must(limits.Get(g.ctx, g.compute, limits.GetOpts{}).Extract())(g.t).Absolute; l.TotalInstancesUsed != 0 || l.TotalRAMUsed != 0 {
		g.t.Errorf("quota is left: %+v", l)
	}
	g.c.fsck()
}

// disks are the files of the servers' disks, and what deployments work in.
func (g *defined) disks() (found []string) {
	for _, pattern := range []string{"*-root*", ".deploy-*", ".hearth-deploy-*"} {
		_ = filepath.WalkDir(filepath.Join(g.c.data, "node"), func(path string, _ os.DirEntry, err error) error {
			if ok, _ := filepath.Match(pattern, filepath.Base(path)); ok && err == nil {
				found = append(found, path)
			}
			return nil
		})
	}
	return found
}

// killed kills the cloud while a hook runs: the hook ends with it, and the next start
// makes the server anew.
func (g *defined) killed(image string) {
	g.put("slow", "SWAP: 'no'\n  FILESYSTEM: ext4", "", "sleep 7.0"+strconv.Itoa(os.Getpid())+"; echo slept > $TARGET/slept")
	m := g.by("killed", image, 2, map[string]string{"hearth:os_definition": "slow"})
	sleeps := func() bool {
		all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, name := range all {
			if b, _ := os.ReadFile(name); strings.HasPrefix(string(b), "sleep\x007.0"+strconv.Itoa(os.Getpid())) {
				return true
			}
		}
		return false
	}
	eventually(g.t, "the hook runs", sleeps)
	g.c.kill()
	eventually(g.t, "the hook ends with the cloud", func() bool { return !sleeps() })
	g.c.up()
	g.session = g.c.session()
	in := g.login(m)
	if got := in.run("cat /slept"); got != "slept" {
		g.t.Errorf("%q", got)
	}
	g.remove(m)
	g.c.fsck()
	if left := g.disks(); len(left) > 0 {
		g.t.Errorf("left behind: %v", left)
	}
}
