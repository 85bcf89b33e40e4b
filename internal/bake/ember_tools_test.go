package bake

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestShutdown has ember's shutdown take what it stands for from a folder of programs that say their names.
func TestShutdown(t *testing.T) {
	bin := t.TempDir()
	for _, name := range []string{"poweroff", "halt", "reboot"} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\necho "+name+" $*\n"), 0o755); err != nil { //nolint:gosec // it is run
			t.Fatal(err)
		}
	}
	for line, want := range map[string]string{
		"": "poweroff", "now": "poweroff", "-h now": "poweroff", "-P +0": "poweroff", "-hP now going down": "poweroff", "-r now": "reboot", "-H": "halt",
		"-h 23:00": "23:00 is not known here", "-c": "-c is not known here", "-r +5": "+5 is not known here",
	} {
		cmd := exec.CommandContext(t.Context(), "/bin/sh", append([]string{"ember/tools/shutdown"}, strings.Fields(line)...)...)
		cmd.Env = []string{"PATH=" + bin}
		said, err := cmd.CombinedOutput()
		if refused := strings.Contains(want, " "); refused != (err != nil) || !strings.Contains(string(said), want) {
			t.Errorf("shutdown %s: %s, %v", line, said, err)
		}
	}
}
