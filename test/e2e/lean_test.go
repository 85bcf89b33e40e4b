package e2e

import (
	"os/exec"
	"path/filepath"
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
	dir := bakeRecipe(m.t, "lean", leanRecipe)
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
