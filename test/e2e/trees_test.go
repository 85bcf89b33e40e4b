package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTrees takes ember's disk apart and puts it together again as an ordinary user:
// by way of an archive, by way of a pair of dumps, and into an AMI. The tree stays
// the same, and each boots to ssh.
func TestTrees(t *testing.T) {
	bin := needE2E(t)
	if os.Getenv("HEARTH_E2E_ALL") != "1" {
		t.Skip("converts and boots four guests: 'make e2e-all' runs this")
	}
	ember, dir := bakeImage(t, "ember"), tempDir(t)
	disk := filepath.Join(dir, "ember.qcow2")
	for _, name := range []string{ember.disk, ember.root, ember.kernel, ember.ramdisk} { // where the user may read them
		body, err := os.ReadFile(name)
		if err != nil || os.WriteFile(filepath.Join(dir, filepath.Base(name)), body, 0o644) != nil {
			t.Fatal(err)
		}
	}
	start := time.Now()
	for _, args := range [][]string{
		{"convert", disk, "--to", "tar.zst", "-o", "e.tar.zst"}, {"convert", "e.tar.zst", "--to", "qcow2", "-o", "by-tar.qcow2"},
		{"convert", disk, "--to", "dump", "-o", "e"}, {"convert", "e-root.dump", "--to", "qcow2", "-o", "by-dump.qcow2"},
		{"convert", disk, "--to", "ami", "-o", "ami"}, {"convert", disk, "--to", "ganeti", "-o", "e.export"}, {"convert", "ember.ext4", "--to", "qcow2", "-o", "of-ami.qcow2"},
	} {
		asUser(t, dir, append([]string{bin, "image"}, args...)...)
	}
	t.Logf("seven conversions in %.1f s", time.Since(start).Seconds())
	for _, other := range []string{"e.tar.zst", "by-tar.qcow2", "e-root.dump", "by-dump.qcow2", "ami.ext4", "e.export"} {
		if out := asUser(t, dir, bin, "image", "manifest", disk, "--diff", other); !strings.Contains(out, "equal: ") {
			t.Errorf("%s: %s", other, out)
		}
	}
	c := newCloud(t, "qemu")
	s := c.session()
	signer, public := keyPair(t)
	s.importKey("me", public)
	s.group("web", true, 22)
	ami := strings.TrimSpace(c.hearth("image", "import-ami", "--name", "ami", "--kernel", filepath.Join(dir, "ami.vmlinuz"), "--initrd", filepath.Join(dir, "ami.initrd"), "--root", filepath.Join(dir, "ami.ext4")))
	for name, image := range map[string]string{"tar": s.upload("tar", "qcow2", filepath.Join(dir, "by-tar.qcow2"), nil), "dump": s.upload("dump", "qcow2", filepath.Join(dir, "by-dump.qcow2"), nil),
		"triplet": s.upload("triplet", "qcow2", filepath.Join(dir, "of-ami.qcow2"), nil), "ami": ami} {
		m := s.launch(s.flavor(2), wish{name: "by-" + name, image: image, network: s.networkNamed("private"), key: "me", group: "web"})
		s.ready(m)
		s.giveFloating(m)
		in := sshTo(t, "ember", m.float, signer)
		checkDisk(t, in, 2)
		if got := in.run("hostname; sudo -n id -u"); got != "by-"+name+"\n0" {
			t.Errorf("%s: %q", name, got)
		}
		if name != "ami" {
			c.awaitConsole(m.id, "Loading /boot/vmlinuz", "Linux version", "login:")
		}
		s.remove(m)
	}
	c.fsck()
}
