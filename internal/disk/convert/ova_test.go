package convert

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/disk/inspect"
	"hearth/internal/disk/ova"
)

// TestOVA makes a package, takes it apart again, from a file and from a stream, and
// makes another of it.
func TestOVA(t *testing.T) {
	raw, ctx, run, dir := source(t), context.Background(), &disk.Runner{}, t.TempDir()
	t.Setenv("TMPDIR", t.TempDir())
	pack := filepath.Join(dir, "web.ova")
	r, err := OVA(ctx, run, Options{Source: raw, Target: pack}, ova.Machine{Name: "web", CPUs: 3, MemoryMB: 700})
	if disk.KindOf(err) == disk.ToolMissing {
		t.Skip(err)
	}
	if err != nil || r.VirtualSize != 33<<20 {
		t.Fatalf("%+v, %v", r, err)
	}
	b, err := os.ReadFile(pack)
	if err != nil {
		t.Fatal(err)
	}
	for name, opt := range map[string]Options{"file": {Source: pack}, "stream": {Input: bytes.NewReader(b)}} {
		opt.Target, opt.Format, opt.Compress = filepath.Join(dir, name), disk.QCOW2, "zstd"
		r, err := Disk(ctx, run, opt)
		if err != nil || r.From != disk.VMDK || r.Properties["min_ram"] != "700" || r.Machine.CPUs != 3 {
			t.Errorf("%s: %+v, %v", name, r, err)
			continue
		}
		if text, err := exec.Command("qemu-img", "compare", "-f", "raw", "-F", "qcow2", raw, opt.Target).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", name, err, text)
		}
	}
	if r, err = OVA(ctx, run, Options{Source: pack, Target: filepath.Join(dir, "again.ova")}, ova.Machine{Name: "again", CPUs: 1}); err != nil || r.Machine.MemoryMB != 700 || r.Machine.CPUs != 1 || len(r.Machine.NICs) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	report, err := inspect.Image(ctx, run, pack)
	if err != nil || report.Machine == nil || report.Machine.CPUs != 3 || report.File != pack || report.System == nil || report.System.ID != "debian" {
		t.Errorf("%+v, %v", report, err)
	}
	opt := Options{Source: raw, Target: filepath.Join(dir, "none.ova"), Progress: func(Progress) { t.Error("the disk of a machine that cannot be described was made") }}
	if _, err := OVA(ctx, run, opt, ova.Machine{Name: "a:b"}); disk.KindOf(err) != disk.Unsupported {
		t.Errorf("a name that no file may have: %v", err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(pack, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Disk(ctx, run, Options{Source: pack, Target: filepath.Join(dir, "none"), Format: disk.Raw}); disk.KindOf(err) != disk.Refused {
		t.Errorf("a damaged package: %v", err)
	}
	for _, d := range []string{dir, os.Getenv("TMPDIR")} {
		if left, _ := filepath.Glob(filepath.Join(d, "*hearth-*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}
