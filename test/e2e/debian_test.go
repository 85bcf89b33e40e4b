package e2e

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// TestDebian boots Debian with cloud-init: what a guest of the world at large
// asks for is there, and quickly.
func TestDebian(t *testing.T) {
	needE2E(t)
	debian := bakeImage(t, "debian")
	var manifest struct{ User string }
	if err := json.Unmarshal(must(os.ReadFile(strings.TrimSuffix(debian.disk, ".qcow2")+".json"))(t), &manifest); err != nil {
		t.Fatal(err)
	}
	c := newCloud(t, "qemu")
	s := c.session()
	signer, public := keyPair(t)
	s.importKey("me", public)
	s.group("web", true, 22)
	const gb = 8
	image := s.upload("debian", "qcow2", debian.disk, nil)
	m := s.launch(s.sizedFlavor("debian", 1024, 2, gb), wish{name: "trixie-or-so", image: image, network: s.networkNamed("private"), key: "me", group: "web",
		script: "#!/bin/sh\necho $(id -u) > /var/lib/proof\n"})
	s.ready(m)
	s.giveFloating(m)
	in := sshTo(t, manifest.User, m.float, signer)
	in.run("sudo cloud-init status --wait >/dev/null; true")
	for command, want := range map[string]string{"hostname": m.name, "cat /var/lib/proof": "0", "sudo -n id -u": "0", "id -un": manifest.User} {
		if got := in.run(command); got != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
	checkDisk(t, in, gb)
	log := in.run("sudo cat /var/log/cloud-init.log")
	if strings.Contains(log, "failed [0/") {
		t.Errorf("the first request for metadata failed:\n%s", linesWith(log, "failed ["))
	}
	if !strings.Contains(log, "DataSourceOpenStack") && !strings.Contains(log, "DataSourceEc2") {
		t.Errorf("cloud-init found no source of the cloud's:\n%s", linesWith(log, "DataSource"))
	}
	checkCrawl(t, in, log)
	t.Logf("%s", in.run("cloud-init analyze blame 2>/dev/null | head -5; systemd-analyze 2>/dev/null | head -1"))
	c.awaitConsole(m.id, "GNU GRUB", "Linux version", m.name+" login:")
	checkSeed(t, in, m)
	driven := s.driven(c, image)
	c.awaitConsole(driven.id, "Datasource DataSourceConfigDrive")
	s.remove(driven)
	s.remove(m)
	c.fsck()
}

func linesWith(text, word string) string {
	var found []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) {
			found = append(found, line)
		}
	}
	return strings.Join(found, "")
}
