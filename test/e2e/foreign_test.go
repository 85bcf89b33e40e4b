package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/limits"
)

// theirCreate is a create script as others write them: it carries its image, has a part
// in a file of its own, and takes parameters.
const theirCreate = `#!/bin/sh -e
. ./common.sh
case $OSP_MODE in
  fail) i=0; while [ $i -lt 60 ]; do i=$((i+1)); echo "line-$i" >&2; done; echo "no such mirror: $OSP_MIRROR" >&2; exit 7;;
  slow) sleep "$OSP_MIRROR";;
esac
echo "the disk of $INSTANCE_NAME has $DISK_0_SIZE MB, its card is $NIC_0_MAC"
fill "$OS_VARIANT" "$DISK_0_PATH"
printf '%s %s %s %s\n' "$GREETING" "$INSTANCE_NAME" "$OS_VARIANT" "$OSP_MIRROR" > motd
printf 'rm /etc/motd\nwrite motd /etc/motd\n' > commands
debugfs -w -f commands "$DISK_0_PATH?offset=1048576"
`

// TestForeignDefinition has a definition that others wrote pushed to the head, by which a
// node makes servers; pushes it again, has it fail, and kills the cloud in its middle.
func TestForeignDefinition(t *testing.T) {
	needE2E(t)
	if os.Getenv("HEARTH_E2E_ALL") != "1" {
		t.Skip("boots three guests: 'make e2e-all' runs this")
	}
	g, ember := newDefined(t)
	theirs := filepath.Join(g.dir, "theirs")
	if err := os.MkdirAll(filepath.Join(theirs, "images"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"create": theirCreate, "verify": "#!/bin/sh -e\n[ -n \"$OSP_MIRROR\" ] || { echo MIRROR is not set >&2; exit 1; }\n", "import": "#!/bin/sh\nexit 1\n", "export": "#!/bin/sh\nexit 1\n",
		"rename": "#!/bin/sh\nexit 1\n", "common.sh": "GREETING=first\nfill() { qemu-img convert -n -f qcow2 -O raw \"images/$1.qcow2\" \"$2\"; }\n", "ganeti_api_version": "20\n15\n",
		"parameters.list": "mirror Where its packages come from\nmode How it goes\n"} {
		mode := os.FileMode(0o644)
		if strings.HasPrefix(text, "#!") {
			mode = 0o755
		}
		if err := os.WriteFile(filepath.Join(theirs, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	// As Debian has it: a link to the host's configuration.
	if err := os.WriteFile(filepath.Join(g.dir, "variants.list"), []byte("ember\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(g.dir, "variants.list"), filepath.Join(theirs, "variants.list")); err != nil {
		t.Fatal(err)
	}
	b := must(os.ReadFile(ember.disk))(t)
	if err := os.WriteFile(filepath.Join(theirs, "images", "ember.qcow2"), b, 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the same makes no second version
		if got := g.own("os-def", "push", "theirs", theirs); strings.TrimSpace(got) != "theirs@1" {
			t.Fatalf("pushed as %q", got)
		}
	}
	t.Run("made", func(t *testing.T) { g.in(t).foreignMade() })
	t.Run("failing", func(t *testing.T) { g.in(t).foreignFails() })
	t.Run("pushed again", func(t *testing.T) { g.in(t).foreignAgain(theirs) })
	t.Run("killed", func(t *testing.T) { g.in(t).foreignKilled() })
}

// foreign asks for a server as a client does.
func (g *defined) foreign(name, image string, said ...string) *machine {
	g.t.Helper()
	args := []string{"server", "create", "--image", image, "--flavor", g.flavor(2), "--network", "private", "--security-group", "web", "--key-name", "me", "-f", "value", "-c", "id"}
	for _, s := range said {
		args = append(args, "--property", s)
	}
	id := strings.TrimSpace(g.c.client("openstack", append(args, name)...))
	return &machine{name: name, id: id}
}

// foreignMade boots what the scripts made of the archive.
func (g *defined) foreignMade() {
	m := g.foreign("made", "theirs", "hearth:os:mirror=nearby")
	in := g.login(m)
	if got := in.run("cat /etc/motd"); got != "first made ember nearby" {
		g.t.Errorf("the guest has %q", got)
	}
	log := g.own("job", "log", "made", "--level", "debug")
	for _, want := range []string{"compute_deploy_fetch", "its archive", "compute_deploy_unpack", "verify ended well", "compute_deploy_create", "the disk of made has 2048 MB, its card is fa:16:3e", "Success"} {
		if !strings.Contains(log, want) {
			g.t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	g.t.Logf("its log:\n%s", log)
	g.remove(m)
	g.c.fsck()
}

// foreignFails has create and verify say no, and what no definition has refused at once.
func (g *defined) foreignFails() {
	before := g.disks()
	m := g.foreign("failing", "theirs", "hearth:os:mirror=far", "hearth:os:mode=fail")
	g.await(m, "ERROR")
	shown := g.c.client("openstack", "server", "show", m.id)
	for _, want := range []string{"theirs@1", "create failed with exit status 7", "line-12", "no such mirror: far"} {
		if !strings.Contains(shown, want) {
			g.t.Errorf("'openstack server show' lacks %q:\n%s", want, shown)
		}
	}
	if strings.Contains(shown, "line-11\n") || strings.Contains(shown, `line-11\n`) {
		g.t.Errorf("more than 50 lines are shown:\n%s", shown)
	}
	g.remove(m)
	m = g.foreign("unsaid", "theirs")
	g.await(m, "ERROR")
	if shown := g.c.client("openstack", "server", "show", m.id); !strings.Contains(shown, "MIRROR is not set") {
		g.t.Errorf("verify is not shown:\n%s", shown)
	}
	g.remove(m)
	if after := g.disks(); strings.Join(after, " ") != strings.Join(before, " ") {
		g.t.Errorf("disks are left: %v, were %v", after, before)
	}
	if l := must(limits.Get(g.ctx, g.compute, limits.GetOpts{}).Extract())(g.t).Absolute; l.TotalInstancesUsed != 0 || l.TotalRAMUsed != 0 {
		g.t.Errorf("quota is left: %+v", l)
	}
	g.c.fsck()
}

// foreignAgain pushes a changed definition: its name is the new version, for a server of
// another image too, and the old one is there still.
func (g *defined) foreignAgain(theirs string) {
	name := filepath.Join(theirs, "common.sh")
	text := strings.Replace(string(must(os.ReadFile(name))(g.t)), "first", "second", 1)
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		g.t.Fatal(err)
	}
	if got := g.own("os-def", "push", "theirs", theirs); strings.TrimSpace(got) != "theirs@2" {
		g.t.Fatalf("pushed as %q", got)
	}
	if got := g.own("os-def", "history", "theirs"); !strings.Contains(got, "theirs@1") || !strings.Contains(got, "theirs@2") {
		g.t.Errorf("the history is:\n%s", got)
	}
	if got := g.own("os-def", "diff", "theirs"); !strings.Contains(got, "archive: \"sha512:") {
		g.t.Errorf("the difference is:\n%s", got)
	}
	shown := g.own("os-def", "show", "theirs")
	for _, want := range []string{"name: mirror", "text: Where its packages come from", "- ember", "- rename"} {
		if !strings.Contains(shown, want) {
			g.t.Errorf("it lacks %q when shown:\n%s", want, shown)
		}
	}
	all := strings.Fields(g.c.client("openstack", "image", "list", "--name", "theirs", "-f", "value", "-c", "ID"))
	if len(all) != 1 {
		g.t.Errorf("the images of this name are %v", all)
	}
	m := g.foreign("again", "theirs:latest", "hearth:os:mirror=nearby")
	in := g.login(m)
	if got := in.run("cat /etc/motd"); got != "second again ember nearby" {
		g.t.Errorf("the guest has %q", got)
	}
	g.remove(m)
}

// foreignKilled kills the cloud while create runs: it ends with it, and the next start
// makes the server anew.
func (g *defined) foreignKilled() {
	word := "7.1" + strconv.Itoa(os.Getpid())
	m := g.foreign("killed", "theirs", "hearth:os:mode=slow", "hearth:os:mirror="+word)
	sleeps := func() bool {
		all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, name := range all {
			if b, _ := os.ReadFile(name); strings.HasPrefix(string(b), "sleep\x00"+word) {
				return true
			}
		}
		return false
	}
	eventually(g.t, "create runs", sleeps)
	g.c.kill()
	eventually(g.t, "create ends with the cloud", func() bool { return !sleeps() })
	g.c.up()
	g.session = g.c.session()
	in := g.login(m)
	if got := in.run("cat /etc/motd"); got != "second killed ember "+word {
		g.t.Errorf("the guest has %q", got)
	}
	g.remove(m)
	g.c.fsck()
	if left := g.disks(); len(left) > 0 {
		g.t.Errorf("left behind: %v", left)
	}
}
