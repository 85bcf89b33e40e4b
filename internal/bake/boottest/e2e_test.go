package boottest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"hearth/internal/bake"
	"hearth/internal/disk"
	"hearth/internal/disk/inspect"
	"hearth/internal/disk/resize"
)

// TestEmber bakes ember as a hybrid image, shrinks it and boots what came of it under
// both firmwares, under BIOS a second time, since QEMU crashes in the first; an empty disk
// fails with a sentence, at once.
func TestEmber(t *testing.T) {
	if os.Getenv("HEARTH_E2E") != "1" {
		t.Skip("needs QEMU: set HEARTH_E2E=1")
	}
	dir, ctx, run := t.TempDir(), context.Background(), &disk.Runner{}
	res, err := bake.Bake(ctx, bake.Options{Recipe: "ember", Firmware: "hybrid", OutDir: dir, CacheDir: os.Getenv("HEARTH_BAKE_CACHE")})
	if err != nil {
		t.Fatal(err)
	}
	small := filepath.Join(dir, "small.qcow2")
	s, err := resize.Shrink(ctx, run, resize.Options{Source: res.Disk, Target: small})
	if err != nil || s.Size > s.Used+s.Used/20+3<<20 {
		t.Fatalf("%+v, %v", s, err)
	}
	for _, firmware := range []string{"bios", "uefi"} {
		crashed := firmware == "uefi"
		r, err := Run(ctx, run, Options{Image: small, Firmware: firmware, Tell: func(s Stage) {
			t.Logf("%6.1f s  %-12s %s", s.Seconds, s.Name, s.Text)
			if s.Name == Kernel && !crashed {
				crashed = crashQEMU(t)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		if firmware == "bios" && r.Crashes == 0 {
			t.Error("QEMU's crash is not told")
		}
		if r.Result != Passed || r.User != "ember" || r.Address == "" || r.Firmware != firmware {
			t.Errorf("%+v\n%s", r, r.Console)
		}
		for _, s := range r.Stages {
			if s.Result != Passed {
				t.Errorf("%s: %+v", firmware, s)
			}
		}
	}
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := Run(ctx, run, Options{Image: empty})
	if err != nil || r.Result != Failed || r.Seconds > 60 {
		t.Errorf("%+v, %v", r, err)
	}
	t.Log(r.Reason)
}

// crashQEMU has this process's QEMU end as by a fault of its own.
func crashQEMU(t *testing.T) bool {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range stats {
		var pid, parent int
		var program, state string
		b, _ := os.ReadFile(name)
		if _, err := fmt.Sscanf(string(b), "%d %s %s %d", &pid, &program, &state, &parent); err == nil && parent == os.Getpid() && strings.HasPrefix(program, "(qemu-system") {
			return syscall.Kill(pid, syscall.SIGSEGV) == nil
		}
	}
	t.Error("there is no QEMU to crash")
	return true
}

// TestLoaders boots ember by the two loaders that are not GRUB: extlinux under BIOS,
// systemd-boot under UEFI. What they say is on the serial line.
func TestLoaders(t *testing.T) {
	if os.Getenv("HEARTH_E2E") != "1" || os.Getenv("HEARTH_E2E_ALL") != "1" {
		t.Skip("two bakes and two guests: set HEARTH_E2E=1 and HEARTH_E2E_ALL=1")
	}
	for _, c := range []struct {
		loader, firmware string
		says             []string
	}{
		{"extlinux", "bios", []string{"Boot menu", "Ember (Hearth)", "Loading /boot/vmlinuz"}},
		{"systemd-boot", "uefi", []string{"Ember (Hearth)"}},
	} {
		dir, ctx, run := t.TempDir(), context.Background(), &disk.Runner{}
		res, err := bake.Bake(ctx, bake.Options{Recipe: "ember", Loader: c.loader, Raw: true, OutDir: dir, CacheDir: os.Getenv("HEARTH_BAKE_CACHE")})
		if err != nil {
			t.Fatal(err)
		}
		tell := func(s Stage) { t.Logf("%s: %6.1f s  %-12s %s", c.loader, s.Seconds, s.Name, s.Text) }
		r, err := Run(ctx, run, Options{Image: res.Disk, Tell: tell})
		if err != nil {
			t.Fatal(err)
		}
		if r.Result != Passed || r.User != "ember" || r.Firmware != c.firmware {
			t.Errorf("%+v\n%s", r, r.Console)
		}
		for _, want := range append(c.says, "Linux version", "login:") {
			if !strings.Contains(r.Console, want) {
				t.Errorf("%s: the console lacks %q:\n%s", c.loader, want, r.Console[:min(4000, len(r.Console))])
			}
		}
		i, err := inspect.Image(ctx, run, res.Disk)
		if err != nil || i.Loader != c.loader || i.Default == nil || i.Default.Kernel == "" || !i.Default.Serial || !strings.Contains(i.Default.Args, "root=UUID=") || len(i.Kernels) != 1 {
			t.Errorf("%+v, %v", i, err)
		}
		for _, check := range i.Checks {
			if check.Level == inspect.Problem {
				t.Errorf("%s: %+v", c.loader, check)
			}
		}
	}
}
