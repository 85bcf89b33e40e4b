package qemu

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hearth/internal/driver/hypervisor"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestCommandLine(t *testing.T) {
	for name, c := range map[string]struct {
		host host
		cfg  hypervisor.Config
	}{
		"disk-tcg": {host{accel: "tcg", machine: "pc", log: "/run/a/console.log"}, hypervisor.Config{
			ID: "a", UUID: "7e7e1a1e-0000-4000-8000-000000000001", VCPUs: 2, MemoryMB: 1024,
			SMBIOS: hypervisor.OpenStackSMBIOS("a,b"),
			Disks: []hypervisor.Disk{
				{ID: "root", Path: "/d/root.qcow2", Format: "qcow2", Backing: &hypervisor.Backing{Path: "/i/base", Format: "raw"}, Serial: "vol,1", BootIndex: 1},
				{ID: "lv", Path: "/dev/vg/lv", Format: "raw"},
				{ID: "vol-2", Path: "/dev/vg/lv2", Format: "raw", Key: "open sesame"},
				{ID: "config", Path: "/d/config.iso", Format: "raw", CDROM: true, ReadOnly: true},
				{ID: "cd0", Path: "/i/iso", Format: "raw", Bus: "ide", CDROM: true, ReadOnly: true, BootIndex: 2},
			}, Video: "vga",
			NICs: []hypervisor.NIC{{ID: "net0", MAC: "fa:16:3e:00:00:01", MTU: 1450}, {ID: "net1", MAC: "fa:16:3e:00:00:02", MTU: 1500, Model: "e1000"}},
		}},
		"kernel-kvm": {host{accel: "kvm", machine: "q35", log: "/run/b/console.log"}, hypervisor.Config{
			ID: "b", VCPUs: 1, MemoryMB: 64, CPU: "Nehalem", Kernel: "/i/vmlinuz", Initrd: "/i/initrd", Cmdline: "root=LABEL=a,b console=ttyS0",
			Disks: []hypervisor.Disk{
				{ID: "root", Path: "/d/root.raw", Format: "raw"},
				{ID: "s0", Path: "/d/s0", Format: "qcow2", Bus: "scsi"},
				{ID: "s1", Path: "/d/s1", Format: "raw", Bus: "scsi", CDROM: true, ReadOnly: true},
				{ID: "i0", Path: "/d/i0", Format: "raw", Bus: "ide", ReadOnly: true},
			},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c.host.devices = map[string]bool{"/dev/vg/lv": true}
			golden(t, name, render(build(c.cfg, c.host)))
			again := render(build(c.cfg, c.host))
			if diff := cmp.Diff(render(build(c.cfg, c.host)), again); diff != "" {
				t.Errorf("not the same line twice: %s", diff)
			}
		})
	}
}

// render writes an option a line with its values, then the descriptors.
func render(words []string, files []passed) string {
	var b strings.Builder
	for i, w := range words {
		switch {
		case i == 0:
		case strings.HasPrefix(w, "-"):
			b.WriteByte('\n')
		default:
			b.WriteByte(' ')
		}
		b.WriteString(w)
	}
	b.WriteByte('\n')
	roles := map[role]string{roleLock: "lock", roleMonitor: "monitor", roleSerial: "serial", rolePath: "path", roleSecret: "secret", roleBoot: "boot", roleTap: "tap"}
	modes := map[int]string{os.O_RDONLY: "ro", os.O_RDWR: "rw", os.O_WRONLY: "wo"}
	for i, f := range files {
		b.WriteString(strings.Join([]string{"fd", string(rune('0' + (i+roleStart)/10)), string(rune('0' + (i+roleStart)%10)), roles[f.role], f.path, modes[f.flags&3], f.copy}, " ") + "\n")
	}
	return b.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the command line changed (-update writes it anew):\n%s", diff)
	}
}
