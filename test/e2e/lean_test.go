package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// leanRecipe is a Debian with little in it, and with what a root in LVM wants.
const leanRecipe = `name: lean
base: {bootstrap: debian, suite: bookworm}
packages:
  install: [systemd-sysv, udev, dbus, ifupdown, isc-dhcp-client, openssh-server, sudo, iproute2, procps, kmod, e2fsprogs, ca-certificates, lvm2]
kernel: {from: distribution}
users: [{name: debian}]
outputs: [tar]
`

// bakeLean bakes that, or takes what was baked before, and unpacks it as root into the
// folder t of the matrix.
func (m *matrix) bakeLean() {
	m.t.Helper()
	cache := os.Getenv("HEARTH_E2E_CACHE")
	if cache == "" {
		cache = "/var/cache/hearth-e2e"
	}
	sum := sha256.Sum256([]byte(leanRecipe))
	dir := filepath.Join(cache, "lean-"+ovenHash(m.t)+hex.EncodeToString(sum[:4]))
	if _, err := os.Stat(filepath.Join(dir, "lean.json")); err != nil {
		recipe := filepath.Join(tempDir(m.t), "recipe.yaml")
		if err := os.WriteFile(recipe, []byte(leanRecipe), 0o600); err != nil {
			m.t.Fatal(err)
		}
		start := time.Now()
		c := &theCloud{t: m.t, bin: m.bin}
		c.run(append(os.Environ(), "HEARTH_DATA="+m.t.TempDir()), m.bin, "bake", "run", recipe, "--cache", filepath.Join(cache, "layers"), "-o", dir, "--boot-test=false", "--quiet")
		m.t.Logf("baked in %.1f s", time.Since(start).Seconds())
	}
	m.asRoot(`mkdir t; tar -C t --xattrs --numeric-owner -xpf "$1"`, filepath.Join(dir, "lean.tar"))
}

// asRoot runs a shell in the matrix's folder, in a mount namespace of its own.
func (m *matrix) asRoot(script string, args ...string) string {
	m.t.Helper()
	cmd := exec.Command("unshare", append([]string{"-m", "--propagation", "private", "sh", "-ec", script, "sh"}, args...)...)
	cmd.Dir = m.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		m.t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}
