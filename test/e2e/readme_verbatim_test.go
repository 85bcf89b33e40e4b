package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// readmeCommands are the command lines of the README's "By hand", as they stand
// there but for the comments behind them. What the make targets do is run by
// .ci/run and 'make demo'.
func readmeCommands(t *testing.T) (commands []string) {
	t.Helper()
	text := string(must(os.ReadFile("../../README.md"))(t))
	_, text, found := strings.Cut(text, "\n## By hand\n")
	text, _, ended := strings.Cut(text, "\n## ")
	if !found || !ended {
		t.Fatal("the README has no section 'By hand' with another after it")
	}
	for line := range strings.Lines(text) {
		command, indented := strings.CutPrefix(line, "    ")
		command, _, _ = strings.Cut(command, "  #")
		if command = strings.TrimSpace(command); indented && command != "" && !strings.HasPrefix(command, "make ") {
			commands = append(commands, command)
		}
	}
	return commands
}

// readmeHelpers is what a person brings along: the address that was just given
// out, patience until the guest's sshd is up, and a look at the guest's name once
// logged in.
const readmeHelpers = `set -eE
trap 'echo "failed: $BASH_COMMAND" >&2' ERR
ssh() {
  for try in $(seq 150); do
    command ssh -i ~/.ssh/id_ed25519 -o BatchMode=yes -o ConnectTimeout=2 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR "$@" hostname && return
    read -t 2 <> <(:) || true
  done
  return 1
}
`

// TestReadme runs the README's commands as they are written, in their order, in
// one shell, with Debian's clients and a real guest.
func TestReadme(t *testing.T) {
	c := &theCloud{t: t, bin: needE2E(t), data: tempDir(t), process: &process{}}
	c.settings("qemu")
	t.Cleanup(c.down)
	home := tempDir(t)
	if err := errors.Join(os.Mkdir(filepath.Join(home, ".ssh"), 0o700), os.Symlink(c.bin, filepath.Join(home, "hearth"))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "init.sh"), []byte("#!/bin/sh\necho hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	script := readmeHelpers
	for _, command := range readmeCommands(t) {
		script += "echo '+ " + strings.ReplaceAll(command, "'", "") + "'\n" + strings.ReplaceAll(command, "ADDRESS", `"$ADDRESS"`) + "\n"
		if strings.HasPrefix(command, "openstack floating ip create") {
			script += "ADDRESS=$(openstack floating ip list -f value -c 'Floating IP Address')\n"
		}
	}
	cmd := exec.Command("/bin/bash", "-c", script)
	cmd.Dir = home
	cmd.Env = append(append(os.Environ(), c.conf...), "HOME="+home, "PATH=/usr/bin:/usr/sbin:/bin:/sbin", "PYTHONWARNINGS=ignore")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(string(out), "\nvm1\n") {
		t.Errorf("nobody logged in to vm1:\n%s", out)
	}
}
