package e2e

import (
	"net/http"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
)

// TestVerbs does to one real guest what owners do to servers beyond power, and
// looks from inside at what became of it: a file on its disk, its uptime, the
// size of its disk.
func TestVerbs(t *testing.T) {
	needE2E(t)
	ember := bakeImage(t, "ember")
	c := newCloud(t, "qemu")
	g := &stage{t: t, theCloud: c, session: c.session(), trio: &trio{}}
	g.bare = g.upload("ember-qcow2", "qcow2", ember.disk, nil)
	signer, public := keyPair(t)
	g.signer, g.private = signer, g.networkNamed("private")
	g.importKey("me", public)
	g.group("web", true, 22)
	g.one = g.launch(g.flavor(2), wish{name: "one", image: g.bare, network: g.private, key: "me", group: "web"})
	g.ready(g.one)
	g.giveFloating(g.one)
	sshTo(t, "ember", g.one.float, signer).run("sudo sh -c 'echo kept > /var/lib/kept; sync'")
	for _, part := range []struct {
		name string
		run  func(*stage)
	}{
		{"Pause", (*stage).pause}, {"Suspend", (*stage).suspend}, {"Shelve", (*stage).shelve}, {"Rescue", (*stage).rescue}, {"StableRescue", func(g *stage) { g.stableRescue(ember.disk) }},
		{"Resize", (*stage).resize}, {"Rebuild", (*stage).rebuild},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(g.in(t)) })
	}
	g.remove(g.one)
}

// act sends an action.
func (g *stage) act(body map[string]any) {
	g.t.Helper()
	resp, err := g.compute.Post(g.ctx, g.compute.ServiceURL("servers", g.one.id, "action"), body, nil, &gophercloud.RequestOpts{OkCodes: []int{http.StatusOK, http.StatusAccepted, http.StatusNoContent}})
	if err != nil {
		g.t.Fatalf("%v: %v", body, err)
	}
	resp.Body.Close()
}

// verb sends an action without parameters and waits for a status.
func (g *stage) verb(name, status string) {
	g.t.Helper()
	g.act(map[string]any{name: nil})
	g.await(g.one, status)
}

// inside logs in and checks the file on the root disk.
func (g *stage) inside() *login {
	g.t.Helper()
	in := sshTo(g.t, "ember", g.one.float, g.signer)
	if got := in.run("cat /var/lib/kept"); got != "kept" {
		g.t.Errorf("the file on the disk is %q", got)
	}
	return in
}

func (g *stage) pause() {
	in := g.inside()
	boot := bootID(in)
	g.verb("pause", "PAUSED")
	if open(g.one.float, 22) {
		g.t.Error("a paused guest answers")
	}
	g.verb("unpause", "ACTIVE")
	if again := bootID(g.inside()); again != boot {
		g.t.Error("it is another boot")
	}
}

// suspend ends the guest's process and has it go on: the boot is the same, and
// what it counts as its uptime lacks the time in between.
func (g *stage) suspend() {
	in := g.inside()
	boot, up := bootID(in), uptime(g.t, in)
	g.verb("suspend", "SUSPENDED")
	g.kill()
	g.up() // nothing of a suspended guest is in a process
	if got := g.status(g.one); got != "SUSPENDED" {
		g.t.Errorf("%s after a restart of hearth", got)
	}
	g.verb("resume", "ACTIVE")
	in = g.inside()
	if again := bootID(in); again != boot {
		g.t.Error("it is another boot")
	}
	if now := uptime(g.t, in); now < up {
		g.t.Errorf("uptime was %d s, is %d s", up, now)
	}
}

func (g *stage) shelve() {
	boot := bootID(g.inside())
	g.act(map[string]any{"shelve": nil})
	g.await(g.one, "SHELVED_OFFLOADED")
	g.verb("unshelve", "ACTIVE")
	if again := bootID(g.inside()); again == boot {
		g.t.Error("it is the same boot")
	}
	g.fsck()
}

func (g *stage) rescue() {
	g.act(map[string]any{"rescue": map[string]any{}})
	g.await(g.one, "RESCUE")
	in := sshTo(g.t, "ember", g.one.float, g.signer)
	if out, err := in.try("cat /var/lib/kept"); err == nil {
		g.t.Errorf("the rescued guest is on its own disk: %q", out)
	}
	in.run("test -b /dev/vdb")
	g.verb("unrescue", "ACTIVE")
	g.inside()
}

// stableRescue boots from an image whose disk comes last: the server's own is where
// it always was. Of two disks of one image ember takes the first for its root, so
// what is seen is the server's own file, and the other disk beside it.
func (g *stage) stableRescue(file string) {
	boot := bootID(g.inside())
	image := g.upload("rescuer", "qcow2", file, map[string]string{"hw_rescue_device": "disk", "hw_rescue_bus": "virtio"})
	g.act(map[string]any{"rescue": map[string]any{"rescue_image_ref": image}})
	g.await(g.one, "RESCUE")
	in := g.inside()
	if bootID(in) == boot {
		g.t.Error("the rescued guest was not booted anew")
	}
	in.run("test -b /dev/vdb")
	g.verb("unrescue", "ACTIVE")
	if out, err := g.inside().try("test -b /dev/vdb"); err == nil {
		g.t.Errorf("the disk that it was rescued by is there still: %s", out)
	}
}

// resize makes the disk larger, once taken back and once for good.
func (g *stage) resize() {
	flavor := g.flavor(4)
	for _, end := range []struct {
		verb string
		gb   int
	}{{"revertResize", 2}, {"confirmResize", 4}} {
		g.act(map[string]any{"resize": map[string]any{"flavorRef": flavor}})
		g.await(g.one, "VERIFY_RESIZE")
		checkDisk(g.t, g.inside(), 4)
		g.verb(end.verb, "ACTIVE")
		checkDisk(g.t, g.inside(), end.gb)
	}
}

// rebuild makes all anew: the file is gone, the addresses are what they were.
func (g *stage) rebuild() {
	boot := bootID(g.inside())
	g.act(map[string]any{"rebuild": map[string]any{"imageRef": g.bare}})
	eventually(g.t, "the guest is another boot", func() bool { return g.status(g.one) == "ACTIVE" && rebooted(g, boot) })
	if out, err := sshTo(g.t, "ember", g.one.float, g.signer).try("cat /var/lib/kept"); err == nil {
		g.t.Errorf("the old disk is there: %q", out)
	}
}
