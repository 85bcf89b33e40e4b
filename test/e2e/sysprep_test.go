package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSysprep makes an image of a running Debian with 'hearth server image create
// --sysprep' and boots two servers of it: they share nothing that is one server's
// own. The image itself has none of it.
func TestSysprep(t *testing.T) {
	needE2E(t)
	if os.Getenv("HEARTH_E2E_ALL") != "1" {
		t.Skip("boots Debian three times, four minutes: 'make e2e-all' runs this")
	}
	debian := bakeImage(t, "debian")
	c := newCloud(t, "qemu")
	s := c.session()
	signer, public := keyPair(t)
	s.importKey("me", public)
	s.group("web", true, 22)
	flavor, network := s.sizedFlavor("debian", 768, 1, 2), s.networkNamed("private")
	boot := func(name, image string) (*machine, *login) {
		m := s.launch(flavor, wish{name: name, image: image, network: network, key: "me", group: "web"})
		s.ready(m)
		s.giveFloating(m)
		return m, sshTo(t, "debian", m.float, signer)
	}
	m, in := boot("first", s.upload("debian", "qcow2", debian.disk, nil))
	in.run("sudo cloud-init status --wait >/dev/null; echo secret > ~/.bash_history; echo kept | sudo tee /opt/kept; sudo sync")
	own := "cat /etc/machine-id; sudo cat /etc/ssh/ssh_host_*_key.pub | cut -d' ' -f2"
	first := strings.Fields(in.run(own))
	image := strings.TrimSpace(c.hearth("server", "image", "create", "--sysprep", "--wait", "--name", "base", m.id))
	s.remove(m)

	file := filepath.Join(tempDir(t), "base.qcow2")
	c.client("openstack", "image", "save", "--file", file, image)
	var report struct {
		Steps []struct {
			Name             string
			Removed, Emptied []string
		}
	}
	if err := json.Unmarshal([]byte(c.hearth("image", "sysprep", "--dry-run", "--json", file)), &report); err != nil {
		t.Fatal(err)
	}
	for _, step := range report.Steps {
		if len(step.Removed)+len(step.Emptied) > 0 {
			t.Errorf("the image still has %s: %v %v", step.Name, step.Removed, step.Emptied)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}

	seen := map[string]string{}
	for _, word := range first {
		seen[word] = "first"
	}
	for _, name := range []string{"second", "third"} {
		m, in := boot(name, image)
		in.run("sudo cloud-init status --wait >/dev/null; true")
		words := strings.Fields(in.run(own))
		if len(words) != len(first) || len(words[0]) != 32 {
			t.Errorf("%s has %d of its own, the first had %d: %v", name, len(words), len(first), words)
		}
		for _, word := range words {
			if who := seen[word]; who != "" {
				t.Errorf("%s shares %s with %s", name, word, who)
			}
			seen[word] = name
		}
		if got := in.run("hostname; cat /opt/kept"); got != name+"\nkept" {
			t.Errorf("%s: %q", name, got)
		}
		s.remove(m)
	}
	c.fsck()
}
