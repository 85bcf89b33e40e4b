package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestDebianByOtherLoaders boots Debian by the two loaders that are not GRUB: baked with
// them, and deployed from its files by a definition that names them.
func TestDebianByOtherLoaders(t *testing.T) {
	m := newMatrix(t)
	for _, c := range []struct{ loader, firmware, menu string }{
		{"extlinux", "bios", `Loading /(boot/)?vmlinuz`},
		{"systemd-boot", "uefi", `Debian GNU/Linux`},
	} {
		t.Run("baked-"+c.loader, func(t *testing.T) {
			m := m.in(t)
			m.take(bakeImage(t, "debian", "--loader="+c.loader))
			m.loads(c.loader, "image.qcow2")
			console := m.boots("Debian baked with "+c.loader, "image.qcow2")
			m.started(c.firmware, console, c.menu)
			if c.loader == "systemd-boot" { // for a new kernel is copied to where that is mounted
				m.started(c.firmware, console, `Mounted .*boot-efi\.mount`)
			}
		})
		t.Run("deployed-"+c.loader, func(t *testing.T) {
			m := m.in(t)
			m.take(bakeImage(t, "debian"))
			files := m.make("image.qcow2", "tar.zst", "by")
			out := asUser(t, m.dir, m.bin, "deploy", "--image", files, "--disk", "made.raw", "--size", "3G", "--instance-name", "web1.example.org", "--set", "LOADER="+c.loader, "--set", "KERNEL_ARGS=nosmt")
			t.Logf("%s", out)
			m.loads(c.loader, "made.raw")
			m.started(c.firmware, m.boots("Debian deployed with "+c.loader, "made.raw"), c.menu, `Command line: .* nosmt`)
		})
	}
}

// loads holds what a disk is started by against the loader that was asked for.
func (m *matrix) loads(loader, image string) {
	m.t.Helper()
	var r struct {
		Loader string `json:"boot_loader"`
	}
	out := asUser(m.t, m.dir, m.bin, "image", "inspect", "--json", image)
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.Loader != loader {
		m.t.Errorf("%s is started by %q, not %s: %v", image, r.Loader, loader, err)
	}
}

// started looks at the firmware of the boot test before and at what the console had.
func (m *matrix) started(firmware, console string, want ...string) {
	m.t.Helper()
	var r struct{ Firmware string }
	body, err := os.ReadFile(filepath.Join(m.dir, "report", "boot-test.json"))
	if err != nil || json.Unmarshal(body, &r) != nil || r.Firmware != firmware {
		m.t.Errorf("the firmware was %q, not %s: %v", r.Firmware, firmware, err)
	}
	for _, w := range append(want, "Linux version", "login:") {
		if !regexp.MustCompile(w).MatchString(console) {
			m.t.Errorf("the console has no %q:\n%s", w, console[:min(4000, len(console))])
		}
	}
}
