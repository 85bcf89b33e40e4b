package convert

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/disk/ova"
)

// TestBox makes boxes for both providers, and of each the disk again.
func TestBox(t *testing.T) {
	raw, ctx, run, dir := source(t), context.Background(), &disk.Runner{}, t.TempDir()
	t.Setenv("TMPDIR", t.TempDir())
	for _, provider := range []string{ova.Libvirt, ova.VirtualBox} {
		box, back := filepath.Join(dir, provider+".box"), filepath.Join(dir, provider+".qcow2")
		r, err := Box(ctx, run, Options{Source: raw, Target: box}, ova.Machine{CPUs: 3, MemoryMB: 700}, provider)
		if disk.KindOf(err) == disk.ToolMissing {
			t.Skip(err)
		}
		if err != nil || r.VirtualSize != 33<<20 || r.Format != "box" || r.Stored == 0 {
			t.Fatalf("%s: %+v, %v", provider, r, err)
		}
		if r, err = Disk(ctx, run, Options{Source: box, Target: back, Format: disk.QCOW2}); err != nil || r.VirtualSize != 33<<20 {
			t.Fatalf("%s: %+v, %v", provider, r, err)
		}
		if text, err := exec.Command("qemu-img", "compare", "-f", "raw", "-F", "qcow2", raw, back).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", provider, err, text)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*hearth-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := Box(ctx, run, Options{Source: raw, Target: filepath.Join(dir, "x")}, ova.Machine{}, "hyperv"); disk.KindOf(err) != disk.Unsupported {
		t.Error(err)
	}
}
