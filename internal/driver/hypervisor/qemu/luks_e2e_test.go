package qemu

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"hearth/internal/disk/luks"
	"hearth/internal/driver/hypervisor"
	"hearth/internal/driver/hypervisor/hypervisortest"
)

// encryptedDisk is a disk of 3 MiB, one of which is the guest's.
func encryptedDisk(t *testing.T, id string) hypervisor.Disk {
	t.Helper()
	d := hypervisor.Disk{ID: id, Path: filepath.Join(t.TempDir(), id), Format: hypervisor.FormatRaw, Key: "0f1e2d3c4b5a6978"}
	src, err := luks.Format(string(d.Key), "7e7e1a1e-0000-4000-8000-000000000001", 256, bytes.NewReader(make([]byte, 1<<20)))
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(d.Path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.ReadFrom(src); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestEncryptedDisks: a guest starts with an encrypted disk and is given another; it
// sees what is in them, and nothing of QEMU tells a key.
func TestEncryptedDisks(t *testing.T) {
	real(t)
	cfg := guestConfig(t)
	cfg.Disks = append(cfg.Disks, encryptedDisk(t, "vol-1"))
	g := launch(t, Options{}, cfg).(*guest)
	waitForText(t, g.Handle().ConsoleLog(), hypervisortest.BootGreeting)
	two := encryptedDisk(t, "vol-2")
	for range 2 {
		if err := g.PlugDisk(t.Context(), two); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.ResizeDisk(t.Context(), "vol-2", 5<<20); err != nil {
		t.Fatal(err)
	}
	devices, err := g.Devices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[string]int64{}
	for _, d := range devices {
		sizes[d.ID] = d.Size
	}
	if info, err := os.Stat(two.Path); sizes["vol-1"] != 1<<20 || sizes["vol-2"] != 5<<20 || err != nil || info.Size() != 5<<20+luks.HeaderSize {
		t.Errorf("sizes %v, the file %v, %v", sizes, info, err)
	}
	wrong := encryptedDisk(t, "vol-3")
	wrong.Key = "another"
	if err := g.PlugDisk(t.Context(), wrong); err == nil {
		t.Error("a wrong key opens a disk")
	}
	var left []object
	if err := g.ask(t.Context(), "test", nil, "qom-list", map[string]any{"path": "/objects"}, &left); err != nil {
		t.Fatal(err)
	}
	for _, o := range left {
		if strings.HasPrefix(o.Name, "key-") {
			t.Errorf("QEMU keeps %s", o.Name)
		}
	}
	for _, name := range []string{"cmdline", "environ"} {
		text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(g.Handle().PID), name))
		if err != nil || bytes.Contains(text, []byte(two.Key)) {
			t.Errorf("%s tells the key, or %v", name, err)
		}
	}
}
