package inject

import (
	"context"
	"crypto/sha256"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs/guestfstest"
	"hearth/internal/disk/netconf"
	"hearth/internal/disk/sysprep"
)

// TestForeign: a Windows disk and one that nobody knows are left as they are, to
// the byte, by all that changes images.
func TestForeign(t *testing.T) {
	for name, make := range map[string]func(t *testing.T, image string){"ntfs": ntfs, "unknown": func(t *testing.T, image string) {
		guestfstest.Overwrite(t, image, 4096, []byte(strings.Repeat("nobody knows this", 1000)))
	}} {
		t.Run(name, func(t *testing.T) {
			image := filepath.Join(t.TempDir(), "disk.raw")
			if err := os.WriteFile(image, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(image, 8<<20); err != nil {
				t.Fatal(err)
			}
			make(t, image)
			before := hash(t, image)
			layer := disk.Layer{Path: image, Format: disk.Raw}
			network := netconf.DHCP()
			_, err := Image(context.Background(), &disk.Runner{}, layer, Options{Keys: []string{key1}, Hostname: "x", Network: &network, Identity: true, Fstab: []string{"/dev/vdb /x ext4"}})
			if disk.KindOf(err) != disk.Unsupported {
				t.Errorf("inject: %v", err)
			}
			if _, err := sysprep.Image(context.Background(), &disk.Runner{}, layer, sysprep.Options{}); disk.KindOf(err) != disk.Unsupported {
				t.Errorf("sysprep: %v", err)
			}
			if hash(t, image) != before {
				t.Error("the disk was changed")
			}
		})
	}
}

// ntfs makes a file system in a partition of 7 MiB, as Windows has it.
func ntfs(t *testing.T, image string) {
	mkntfs, err := exec.LookPath("/usr/sbin/mkntfs")
	if err != nil {
		if os.Getenv("HEARTH_E2E") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	part := filepath.Join(t.TempDir(), "part")
	if err := os.WriteFile(part, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(part, 7<<20); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(mkntfs, "-F", "-q", "-s", "512", "-p", "2048", "-H", "16", "-S", "63", "-L", "Windows", part).CombinedOutput(); err != nil {
		t.Fatalf("mkntfs: %v: %s", err, out)
	}
	b, err := os.ReadFile(part)
	if err != nil {
		t.Fatal(err)
	}
	sector := make([]byte, 512)
	disk.MBRTable(sector, 1<<20, 8<<20)
	sector[446+4] = 7
	guestfstest.Overwrite(t, image, 0, sector)
	guestfstest.Overwrite(t, image, 1<<20, b)
}

func hash(t *testing.T, name string) (sum [32]byte) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return [32]byte(h.Sum(nil))
}
