package qemu

import (
	"os"
	"path/filepath"
	"testing"

	"hearth/internal/driver/hypervisor"
	"hearth/internal/driver/hypervisor/hypervisortest"
)

// TestSaveThatWasCutOff saves a guest whose memory was written already, once with the file in its place and once without.
func TestSaveThatWasCutOff(t *testing.T) {
	real(t)
	for name, there := range map[string]bool{"in its place": true, "not yet": false} {
		t.Run(name, func(t *testing.T) {
			cfg := guestConfig(t)
			g := launch(t, Options{}, cfg)
			waitForText(t, g.Handle().ConsoleLog(), hypervisortest.BootGreeting)
			path := filepath.Join(cfg.Dir, hypervisor.FileMemory)
			if err := g.(*guest).save(t.Context(), "test", path+".new"); err != nil {
				t.Fatal(err)
			}
			if there {
				if err := os.Rename(path+".new", path); err != nil {
					t.Fatal(err)
				}
			}
			if err := g.Save(t.Context()); err != nil {
				t.Fatal(err)
			}
			cfg.Saved = true
			again := launch(t, Options{}, cfg)
			if err := again.Resume(t.Context()); err != nil {
				t.Fatal(err)
			}
			if state, err := again.State(t.Context()); err != nil || state != hypervisor.StateRunning {
				t.Errorf("state %q, %v", state, err)
			}
		})
	}
}
