package e2e

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestClientsFake runs the README's commands with Debian's clients against a
// cloud in memory.
func TestClientsFake(t *testing.T) {
	c := newCloud(t, "fake")
	image := filepath.Join(t.TempDir(), "ember.qcow2")
	c.run(os.Environ(), "/usr/bin/qemu-img", "create", "-q", "-f", "qcow2", image, "64M")
	walkReadme(t, c, image, nil)
	c.fsck()
}

// TestClientsQEMU runs the same against real guests, and logs in.
func TestClientsQEMU(t *testing.T) {
	needE2E(t)
	ember := bakeImage(t, "ember")
	c := newCloud(t, "qemu")
	walkReadme(t, c, ember.disk, func(vm string, in *login) {
		if got := in.run("hostname"); got != vm {
			t.Errorf("the host name is %q, want %s", got, vm)
		}
		checkDisk(t, in, 1)
		eventually(t, "user-data ran", func() bool { out, _ := in.try("cat /tmp/proof"); return out == "user-data-ran" })
		c.awaitConsole(c.field("id", "server", "show", vm), "Ember (Hearth)", "Linux version", "login:")
	})
	c.fsck()
}

// walkReadme is the README's tour, one command after the other. guest, if
// given, is called with a login at the floating address while the server runs.
func walkReadme(t *testing.T, c *theCloud, image string, guest func(vm string, in *login)) {
	t.Helper()
	signer, public := keyPair(t)
	walkReadmeWithKey(t, c, image, public, func(vm, address string) {
		if guest != nil {
			guest(vm, sshTo(t, "ember", address, signer))
		}
	})
}

func walkReadmeWithKey(t *testing.T, c *theCloud, image, publicKey string, guest func(vm, address string)) {
	t.Helper()
	for _, want := range []string{"identity", "image", "compute", "network"} {
		if out := c.client("openstack", "catalog", "list", "-f", "value"); !strings.Contains(out, want) {
			t.Fatalf("the catalog has no %s:\n%s", want, out)
		}
	}
	if out := c.client("openstack", "flavor", "list", "-f", "value", "-c", "Name"); !strings.Contains(out, "m1.tiny") {
		t.Fatalf("no m1.tiny among the flavors:\n%s", out)
	}
	c.client("openstack", "image", "list")
	c.client("glance", "image-create", "--name", "ember", "--disk-format", "qcow2", "--container-format", "bare", "--file", image)
	c.client("openstack", "keypair", "create", "--public-key", publicKey, "me")
	c.client("openstack", "security", "group", "create", "web")
	c.client("openstack", "security", "group", "rule", "create", "--protocol", "tcp", "--dst-port", "22", "web")
	script := filepath.Join(t.TempDir(), "init.sh")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho user-data-ran > /tmp/proof\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.client("openstack", "server", "create", "--image", "ember", "--flavor", "m1.tiny", "--key-name", "me",
		"--security-group", "web", "--user-data", script, "--network", "private", "--wait", "vm1")
	if got := c.field("status", "server", "show", "vm1"); got != "ACTIVE" {
		t.Fatalf("vm1 is %s: %s", got, c.client("openstack", "server", "show", "vm1"))
	}
	address := c.field("floating_ip_address", "floating", "ip", "create", "public")
	c.client("openstack", "server", "add", "floating", "ip", "vm1", address)
	if got := c.field("addresses", "server", "show", "vm1"); !strings.Contains(got, address) {
		t.Errorf("the server does not show its floating IP %s: %s", address, got)
	}
	guest("vm1", address)
	c.client("openstack", "console", "log", "show", "vm1")
	for _, step := range []struct{ verb, status string }{{"stop", "SHUTOFF"}, {"start", "ACTIVE"}} {
		c.client("openstack", "server", step.verb, "vm1")
		c.awaitStatus("vm1", step.status)
	}
	c.client("openstack", "server", "reboot", "--wait", "vm1")
	c.client("openstack", "server", "reboot", "--hard", "--wait", "vm1")
	if out := c.hearth("explain", "server", "vm1"); !strings.Contains(out, "e2e") {
		t.Errorf("hearth explain does not name the node:\n%s", out)
	}
	c.client("openstack", "server", "delete", "--wait", "vm1")
	if out := c.client("openstack", "server", "list", "-f", "value"); strings.Contains(out, "vm1") {
		t.Errorf("vm1 is still listed:\n%s", out)
	}
	c.client("openstack", "floating", "ip", "delete", address)
	c.client("openstack", "image", "delete", "ember")
}

// TestWrongClaimIsRefused uploads a raw file under the name of qcow2.
func TestWrongClaimIsRefused(t *testing.T) {
	c := newCloud(t, "fake")
	raw := filepath.Join(t.TempDir(), "raw.img")
	if err := os.WriteFile(raw, []byte(strings.Repeat("not a qcow2 ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := c.try(c.env, "/usr/bin/glance", "image-create", "--name", "x", "--disk-format", "qcow2", "--container-format", "bare", "--file", raw)
	if err == nil || !strings.Contains(out, "400") {
		t.Errorf("a raw file was taken as qcow2: %v\n%s", err, out)
	}
}

// TestRoles shows that a member cannot touch another project's server, and a
// reader cannot write.
func TestRoles(t *testing.T) {
	c := newCloud(t, "fake")
	image := filepath.Join(t.TempDir(), "i.qcow2")
	c.run(os.Environ(), "/usr/bin/qemu-img", "create", "-q", "-f", "qcow2", image, "64M")
	c.client("openstack", "image", "create", "--public", "--disk-format", "qcow2", "--file", image, "i")
	c.client("openstack", "server", "create", "--image", "i", "--flavor", "m1.nano", "--network", "private", "--wait", "theirs")
	id := c.field("id", "server", "show", "theirs")
	password := base64.RawURLEncoding.EncodeToString([]byte(id))
	c.client("openstack", "project", "create", "other")
	for _, role := range []string{"member", "reader"} {
		c.client("openstack", "user", "create", "--password", password, role+"-user")
		c.client("openstack", "role", "add", "--user", role+"-user", "--project", "other", role)
	}
	as := func(user string) []string {
		env := []string{"PATH=/usr/bin", "OS_USERNAME=" + user, "OS_PASSWORD=" + password, "OS_PROJECT_NAME=other", "OS_USER_DOMAIN_NAME=Default",
			"OS_PROJECT_DOMAIN_NAME=Default", "OS_IDENTITY_API_VERSION=3", "OS_REGION_NAME=RegionOne", "HOME=" + t.TempDir()}
		for _, v := range c.env {
			if strings.HasPrefix(v, "OS_AUTH_URL=") {
				env = append(env, v)
			}
		}
		return env
	}
	if out, err := c.try(as("member-user"), "/usr/bin/openstack", "server", "delete", id); err == nil || !strings.Contains(out, "No server") {
		t.Errorf("a member deleted another project's server, or was not told 404: %v\n%s", err, out)
	}
	if out, err := c.try(as("reader-user"), "/usr/bin/openstack", "network", "create", "n"); err == nil || !strings.Contains(out, "403") {
		t.Errorf("a reader made a network: %v\n%s", err, out)
	}
	c.run(as("reader-user"), "/usr/bin/openstack", "network", "list")
	if got := c.field("status", "server", "show", id); got != "ACTIVE" {
		t.Errorf("the server is %s", got)
	}
}
