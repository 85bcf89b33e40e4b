package installer

import (
	"os"
	"path/filepath"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/disk/disktest"
)

// FuzzISO looks for an installer in CD-ROMs that came from the web.
func FuzzISO(f *testing.F) {
	dir := f.TempDir()
	iso := filepath.Join(dir, "small.iso")
	kernel := make([]byte, 1024)
	copy(kernel[510:], "\x55\xaa")
	copy(kernel[514:], "HdrS")
	if err := disk.WriteDrive(iso, "small", map[string][]byte{"install.amd/vmlinuz": kernel, "install.amd/initrd.gz": []byte("ramdisk")}); err != nil {
		f.Fatal(err)
	}
	b, err := os.ReadFile(iso)
	if err != nil {
		f.Fatal(err)
	}
	path := filepath.Join(dir, "fuzzed.iso")
	k := kinds()[Preseed]
	disktest.AddSpoilt(f, 400, b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if m, err := openISO(path, k, Preseed); err == nil && len(m.Kernel) > maxKernel {
			t.Errorf("a kernel of %d bytes", len(m.Kernel))
		}
	})
}
