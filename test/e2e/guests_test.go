package e2e

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// userScript proves that user-data ran as root, once per instance.
const userScript = "#!/bin/sh\nid -u > /var/lib/proof\necho again >> /var/lib/count\necho user-data-was-here\n"

// stage is one cloud that many tests share, with an image in each form.
type stage struct {
	*theCloud
	*session
	t              *testing.T
	signer         ssh.Signer
	keyFile        string // of the signer's private key
	bare, raw, ami string // image ids
	private        string // network id
	*trio
}

// trio are the guests that the first part boots for all.
type trio struct{ one, two, three *machine }

func (g *stage) in(t *testing.T) *stage {
	sub := *g
	sub.t, sub.theCloud, sub.session = t, g.theCloud.in(t), g.session.in(t)
	return &sub
}

// TestGuests shows real guests on one cloud: the three forms of an image, and
// then, with the guests that are there, all that a network and an owner do.
func TestGuests(t *testing.T) {
	needE2E(t)
	ember := bakeImage(t, "ember")
	c := newCloud(t, "qemu")
	g := &stage{t: t, theCloud: c, session: c.session(), trio: &trio{}}
	g.prepare(ember)
	for _, part := range []struct {
		name string
		run  func(*stage)
	}{
		{"Forms", (*stage).forms}, {"Metadata", (*stage).metadata}, {"ConfigDrive", (*stage).configDrive}, {"SixOnly", (*stage).sixOnly}, {"Archive", (*stage).archive}, {"Bench", (*stage).bench},
		{"Neighbours", (*stage).neighbours}, {"Names", (*stage).names}, {"Lease", (*stage).lease}, {"Spoofing", (*stage).spoofing},
		{"HostKeys", (*stage).hostKeys}, {"Tenants", (*stage).tenants}, {"Ports", (*stage).ports}, {"KillUnderGuests", (*stage).killUnderGuests},
		{"User", (*stage).user}, {"Power", (*stage).power}, {"Explain", (*stage).explain}, {"Remove", (*stage).removeAll},
	} {
		ok := t.Run(part.name, func(t *testing.T) {
			start := time.Now()
			defer func() { t.Logf("%.1f s", time.Since(start).Seconds()) }()
			part.run(g.in(t))
		})
		if !ok && part.name == "Forms" {
			t.Fatal("without guests there is nothing more to try")
		}
	}
}

// prepare uploads ember as BARE qcow2, BARE raw and AMI.
func (g *stage) prepare(ember baked) {
	g.t.Helper()
	g.bare = g.upload("ember-qcow2", "qcow2", ember.disk, nil)
	g.raw = g.upload("ember-raw", "raw", ember.raw, nil)
	kernel, ramdisk := g.upload("ember-aki", "aki", ember.kernel, nil), g.upload("ember-ari", "ari", ember.ramdisk, nil)
	g.ami = g.upload("ember-ami", "ami", ember.root, map[string]string{"kernel_id": kernel, "ramdisk_id": ramdisk})
	signer, public := keyPair(g.t)
	g.signer, g.keyFile, g.private = signer, strings.TrimSuffix(public, ".pub"), g.networkNamed("private")
	g.importKey("me", public)
	g.group("web", true, 22)
}

// forms boots the three forms, each at another size than the image's, and looks
// at what every guest must have.
func (g *stage) forms() {
	type form struct {
		m           *machine
		name, image string
		gb          int
		log         []string
	}
	boot := []string{"Linux version", "login:", "user-data-was-here"}
	loader := append([]string{"Ember (Hearth)", "Loading /boot/vmlinuz"}, boot...)
	all := []*form{{name: "one", image: g.bare, gb: 2, log: loader}, {name: "two", image: g.raw, gb: 3, log: loader}, {name: "three", image: g.ami, gb: 5, log: boot}}
	for _, f := range all {
		f.m = g.launch(g.flavor(f.gb), wish{name: f.name, image: f.image, network: g.private, key: "me", group: "web", script: userScript})
	}
	*g.trio = trio{all[0].m, all[1].m, all[2].m}
	for _, f := range all {
		g.ready(f.m)
		g.giveFloating(f.m)
	}
	for _, f := range all {
		g.awaitConsole(f.m.id, f.log...)
		in := sshTo(g.t, "ember", f.m.float, g.signer)
		checkDisk(g.t, in, f.gb)
		g.checkSteps(f.m)
		for command, want := range map[string]string{
			"hostname": f.name, "cat /var/lib/proof": "0", "cat /var/lib/count": "again", "sudo -n id -u": "0",
			"cat /sys/class/dmi/id/sys_vendor": "OpenStack Foundation", "cat /sys/class/dmi/id/product_name": "OpenStack Nova",
			"sudo cat /sys/class/dmi/id/product_uuid": f.m.id,
			"cat /sys/class/net/eth0/address":         f.m.mac,
		} {
			if got := in.run(command); got != want {
				g.t.Errorf("%s: %s: %q, want %q", f.name, command, got, want)
			}
		}
		if got := in.run("ip -4 -o addr show dev eth0"); !strings.Contains(got, " "+f.m.fixed4+"/24 ") {
			g.t.Errorf("%s: its address is not %s: %s", f.name, f.m.fixed4, got)
		}
	}
}

// user boots an image that was baked for a user of another name, as Amazon's are.
func (g *stage) user() {
	image := g.upload("ember-ec2", "qcow2", bakeImage(g.t, "ember", "--user=ec2-user").disk, nil)
	m := g.launch("42", wish{name: "amazonian", image: image, network: g.private, key: "me", group: "web"})
	g.ready(m)
	g.giveFloating(m)
	in := sshTo(g.t, "ec2-user", m.float, g.signer)
	if got := in.run("id -un; id -Gn; sudo -n id -un"); !strings.HasPrefix(got, "ec2-user\n") || !strings.Contains(got, "wheel") || !strings.HasSuffix(got, "\nroot") {
		g.t.Errorf("the user is %q", got)
	}
	g.remove(m)
}

var stepTook = regexp.MustCompile(`step .* (image|disk) +(\S+)`)

// checkSteps holds the disk step against its goal, by what hearth explain says: five
// times that here, where a busy host may keep one write waiting.
func (g *stage) checkSteps(m *machine) {
	found := stepTook.FindAllStringSubmatch(g.hearth("explain", "server", m.id), -1)
	if len(found) != 2 {
		g.t.Errorf("hearth explain shows %d of the steps image and disk of %s", len(found), m.name)
	}
	for _, step := range found {
		if took := must(time.ParseDuration(step[2]))(g.t); took > 10*time.Second {
			g.t.Errorf("step %s of %s took %s", step[1], m.name, took)
		}
	}
}

// checkDisk compares the root disk and file system with the flavor's size.
func checkDisk(t *testing.T, in *login, gb int) {
	t.Helper()
	const sectors = 1 << 30 / 512
	if got := number(t, in.run("cat /sys/block/vda/size")); got != gb*sectors {
		t.Errorf("the root disk has %d sectors, want %d GiB", got, gb)
	}
	// ext4 keeps some per cent for inodes and the journal.
	kib := number(t, in.run("df -Pk / | tail -1 | awk '{print $2}'"))
	if whole := gb << 20; kib < whole*92/100 || kib > whole {
		t.Errorf("df / has %d KiB of %d", kib, whole)
	}
}

func (g *stage) hostKeys() {
	const list = `sudo sh -c 'for k in /etc/dropbear/dropbear_*_host_key; do dropbearkey -y -f $k | grep ^Fingerprint; done'`
	seen := map[string]string{}
	for _, m := range []*machine{g.one, g.two} {
		in := sshTo(g.t, "ember", m.float, g.signer)
		eventually(g.t, m.name+" has three host keys", func() bool {
			return number(g.t, in.run("sudo sh -c 'ls /etc/dropbear/dropbear_*_host_key | wc -l'")) == 3
		})
		for line := range strings.Lines(in.run(list)) {
			if other, twice := seen[line]; twice {
				g.t.Errorf("%s and %s share the host key %s", m.name, other, line)
			}
			seen[line] = m.name
		}
	}
	if len(seen) != 6 {
		g.t.Errorf("%d host keys of 2 guests, want 6: %v", len(seen), seen)
	}
	g.awaitConsole(g.one.id, "host key ed25519 SHA256:")
	if out := g.hearth("server", "ssh", g.one.name, "--identity", g.keyFile, "--", "hostname"); strings.TrimSpace(out) != g.one.name {
		g.t.Errorf("hearth server ssh says %q, want %s", out, g.one.name)
	}
}

// killUnderGuests kills hearth while guests run: nothing of theirs may notice.
func (g *stage) killUnderGuests() {
	in := sshTo(g.t, "ember", g.one.float, g.signer)
	const who = "cat /proc/sys/kernel/random/boot_id"
	boot, up := in.run(who), uptime(g.t, in)
	g.kill()
	if again := in.run(who); again != boot {
		g.t.Errorf("with hearth dead the guest rebooted")
	}
	other := sshTo(g.t, "ember", g.two.float, g.signer)
	other.run("true")
	g.up()
	for _, m := range []*machine{g.one, g.two, g.three} {
		if got := g.status(m); got != "ACTIVE" {
			g.t.Errorf("%s is %s after the restart", m.name, got)
		}
	}
	if again := in.run(who); again != boot {
		g.t.Errorf("the restart rebooted the guest")
	}
	if now := uptime(g.t, in); now < up {
		g.t.Errorf("uptime was %d s before, is %d s after", up, now)
	}
	sshTo(g.t, "ember", g.one.float, g.signer).run("wget -q -O /dev/null http://169.254.169.254/latest/meta-data/instance-id")
	g.fsck()
}

func (g *stage) explain() {
	out := g.hearth("explain", "server", "one")
	for _, want := range []string{g.one.id, "e2e", g.data, g.one.mac, g.one.fixed4, "console", "tap", "step"} {
		if !strings.Contains(out, want) {
			g.t.Errorf("hearth explain server says nothing of %q:\n%s", want, out)
		}
	}
	for _, c := range []struct{ kind, id string }{{"image", g.bare}, {"port", g.one.port}} {
		if out := g.hearth("explain", c.kind, c.id); !strings.Contains(out, c.id) {
			g.t.Errorf("hearth explain %s:\n%s", c.kind, out)
		}
	}
}

func (g *stage) removeAll() {
	g.remove(g.one, g.two, g.three)
	g.fsck()
	g.noGuestsLeft()
}
