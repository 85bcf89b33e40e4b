package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestForeignFormats boots ember from an image as other hypervisors have it, made by
// 'hearth image convert' and uploaded by the stock client, and takes images in and
// out of the cloud in formats.
func TestForeignFormats(t *testing.T) {
	needE2E(t)
	ember := bakeImage(t, "ember")
	c := newCloud(t, "qemu")
	s := c.session()
	dir := tempDir(t)
	file := func(name string) string { return filepath.Join(dir, name) }
	c.hearth("image", "convert", ember.disk, "--to", "vmdk", "-o", file("ember.vmdk"))
	image := strings.TrimSpace(c.client("openstack", "image", "create", "--disk-format", "vmdk", "--container-format", "bare", "--file", file("ember.vmdk"), "-f", "value", "-c", "id", "ember-vmdk"))
	signer, public := keyPair(t)
	s.importKey("me", public)
	s.group("web", true, 22)
	m := s.launch(s.flavor(2), wish{name: "foreign", image: image, network: s.networkNamed("private"), key: "me", group: "web"})

	if err := os.Mkdir(file("images"), 0o755); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{ember.disk: "bare-x86_64.img", ember.raw: "ember-x86_64.raw", file("ember.vmdk"): "foreign-x86_64.vmdk"} {
		data := must(os.ReadFile(from))(t)
		if err := os.WriteFile(file("images/"+to), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c.hearth("image", "import-dir", file("images"))
	var list []struct {
		Name       string
		DiskFormat string `json:"Disk Format"`
	}
	if err := json.Unmarshal([]byte(c.client("openstack", "image", "list", "--long", "--property", "architecture=x86_64", "--sort", "name", "-f", "json")), &list); err != nil {
		t.Fatal(err)
	}
	if len(list) != 3 || list[0].Name != "bare" || list[0].DiskFormat != "qcow2" || list[1].DiskFormat != "raw" || list[2].DiskFormat != "vmdk" {
		t.Errorf("what was imported: %+v", list)
	}

	c.hearth("image", "download", image, "--to", "ova", "-o", file("back.ova"))
	c.hearth("image", "convert", file("back.ova"), "--to", "raw", "-o", file("back.raw"))
	c.run(os.Environ(), "/usr/bin/qemu-img", "compare", "-f", "raw", "-F", "raw", file("back.raw"), ember.raw)

	s.ready(m)
	s.giveFloating(m)
	in := sshTo(t, "ember", m.float, signer)
	checkDisk(t, in, 2)
	if got := in.run("hostname"); got != "foreign" {
		t.Errorf("the guest is %q", got)
	}
	s.remove(m)
}
