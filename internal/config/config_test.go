package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestLayers(t *testing.T) {
	c := Default()
	file := filepath.Join(t.TempDir(), "hearth.yaml")
	if err := os.WriteFile(file, []byte("listen: 127.0.0.1:6000\ncompute:\n  accel: tcg\n  shutdown_grace: 5s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.ReadFile(file); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"HEARTH_COMPUTE_ACCEL": "kvm", "HEARTH_NETWORK_MTU": "9000"}
	if err := c.ReadEnv(func(k string) (string, bool) { v, ok := env[k]; return v, ok }); err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:6000" || c.Compute.Accel != "kvm" || c.Network.MTU != 9000 || c.Compute.ShutdownGrace != 5*time.Second {
		t.Errorf("layers are not laid over each other: %+v", c)
	}
	if err := c.Check(); err != nil {
		t.Errorf("a good configuration is refused: %v", err)
	}
}

func TestMistakesAreNamed(t *testing.T) {
	for key, text := range map[string]string{
		"driver": "vmware", "listen": "5000", "node": "", "identity.bcrypt_cost": "3", "identity.token_life": "0s", "compute.accel": "fast",
		"network.public_cidr": "10.0.0.1/24", "network.dhcp_marker": "12", "network.mtu": "100",
	} {
		c := Default()
		for _, e := range c.Entries() {
			if e.Key == key {
				if err := e.Set(text); err != nil {
					t.Fatal(err)
				}
			}
		}
		err := c.Check()
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s=%q: got %v, want an error that names the key", key, text, err)
		}
	}
}

func TestUnknownKeyIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "hearth.yaml")
	if err := os.WriteFile(file, []byte("lisen: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := Default()
	if err := c.ReadFile(file); err == nil || !strings.Contains(err.Error(), "lisen") {
		t.Errorf("got %v, want an error that names lisen", err)
	}
}

func TestWrongTypeNamesTheVariable(t *testing.T) {
	c := Default()
	err := c.ReadEnv(func(k string) (string, bool) { return "many", k == "HEARTH_NETWORK_MTU" })
	if err == nil || !strings.Contains(err.Error(), "HEARTH_NETWORK_MTU") {
		t.Errorf("got %v", err)
	}
}

func TestYAMLRoundTripAndSecret(t *testing.T) {
	c := Default()
	c.Database = "postgres://hearth:sesame@db/cloud"
	body, err := c.YAML()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(body), "sesame") {
		t.Error("the database's password is printed")
	}
	var again Config
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, body, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := again.ReadFile(file); err != nil {
		t.Fatal(err)
	}
	if again.Compute != c.Compute || again.Network != c.Network {
		t.Error("what is printed does not read back")
	}
}
