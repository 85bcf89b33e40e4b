package hypervisor

import (
	"strings"
	"testing"

	"hearth/internal/cloud"
)

func valid() Config {
	return Config{ID: "7e7e1a1e-1", Name: "web, one", UUID: "7e7e1a1e-0000-4000-8000-000000000001", VCPUs: 2, MemoryMB: 64, CPU: "max,+x2apic",
		Disks: []Disk{
			{ID: "root", Path: "/d/root", Format: FormatQCOW2, Backing: &Backing{Path: "/i/base", Format: FormatRaw}, BootIndex: 1},
			{ID: "config", Path: "/d/config", Format: FormatRaw, CDROM: true, ReadOnly: true},
		},
		NICs:   []NIC{{ID: "net0", MAC: "fa:16:3e:00:00:01", MTU: 1450}},
		Kernel: "/i/vmlinuz", Initrd: "/i/initrd", Cmdline: "quiet", Dir: "/run/guest"}
}

func TestValidate(t *testing.T) {
	if err := valid().Validate(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Config){
		"id":                   func(c *Config) { c.ID = "a/b" },
		"long id":              func(c *Config) { c.ID = strings.Repeat("a", 65) },
		"uuid":                 func(c *Config) { c.UUID = "7e7e1a1e" },
		"processors":           func(c *Config) { c.VCPUs = 256 },
		"memory":               func(c *Config) { c.MemoryMB = 3 },
		"machine":              func(c *Config) { c.Machine = "pc -hda /x" },
		"CPU":                  func(c *Config) { c.CPU = "max\n" },
		"dir":                  func(c *Config) { c.Dir = "/run/../etc" },
		"cmdline alone":        func(c *Config) { c.Kernel, c.Initrd = "", "" },
		"kernel":               func(c *Config) { c.Kernel = "vmlinuz" },
		"NUL":                  func(c *Config) { c.Cmdline = "a\x00b" },
		"NUL in firmware":      func(c *Config) { c.SMBIOS.Serial = "\x00" },
		"disk twice":           func(c *Config) { c.Disks[1].ID = "root" },
		"disk and NIC":         func(c *Config) { c.NICs[0].ID = "root" },
		"disk's id":            func(c *Config) { c.Disks[0].ID = "a,file=/etc/shadow" },
		"disk's path":          func(c *Config) { c.Disks[0].Path = "nbd:host:1" },
		"disk's format":        func(c *Config) { c.Disks[0].Format = "vmdk" },
		"disk's bus":           func(c *Config) { c.Disks[0].Bus = "floppy" },
		"disk's serial":        func(c *Config) { c.Disks[0].Serial = strings.Repeat("s", 37) },
		"boot index":           func(c *Config) { c.Disks[0].BootIndex = -1 },
		"raw with a backing":   func(c *Config) { c.Disks[0].Format = FormatRaw },
		"backing's path":       func(c *Config) { c.Disks[0].Backing.Path = "json:{}" },
		"backing's format":     func(c *Config) { c.Disks[0].Backing.Format = "" },
		"CD-ROM on virtio":     func(c *Config) { c.Disks[1].Bus = BusVirtio },
		"CD-ROM writable":      func(c *Config) { c.Disks[1].ReadOnly = false },
		"MAC":                  func(c *Config) { c.NICs[0].MAC = "fa:16:3e:00:00" },
		"MAC of an InfiniBand": func(c *Config) { c.NICs[0].MAC = "00:00:00:00:fe:80:00:00:00:00:00:00:02:00:5e:10:00:00:00:01" },
		"MTU":                  func(c *Config) { c.NICs[0].MTU = 67 },
		"NIC's model":          func(c *Config) { c.NICs[0].Model = "e1000,x=y" },
	} {
		c := valid()
		spoil(&c)
		if err := c.Validate(); !cloud.Is(err, cloud.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOverhead(t *testing.T) {
	for _, c := range []struct {
		accel        string
		memory, want int
	}{{"kvm", 4096, 64}, {"tcg", 64, 96}, {"tcg", 512, 192}, {"tcg", 8192, 320}} {
		if got := (Capabilities{Accel: c.accel}).OverheadMB(c.memory); got != c.want {
			t.Errorf("%s, %d MB: %d, want %d", c.accel, c.memory, got, c.want)
		}
	}
}
