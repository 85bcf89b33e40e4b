package vm

import (
	"os/exec"
	"testing"
)

// TestCrash: a program that ends by itself, or that is ended, has not crashed.
func TestCrash(t *testing.T) {
	for how, want := range map[string]string{
		"true": "", "exit 1": "", "kill -KILL $$": "", "kill -TERM $$": "",
		"kill -SEGV $$": "segmentation fault", "kill -ABRT $$": "aborted",
	} {
		if got := crash(exec.Command("sh", "-c", how).Run()); got != want {
			t.Errorf("%s: %q, want %q", how, got, want)
		}
	}
	if got := crash(exec.Command("/no/such/program").Run()); got != "" {
		t.Error(got)
	}
}
