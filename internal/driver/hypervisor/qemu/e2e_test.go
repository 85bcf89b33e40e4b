package qemu

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
	"hearth/internal/driver/hypervisor/hypervisortest"
)

// real skips a test that runs QEMU, unless the end-to-end run asks for it.
func real(t testing.TB) {
	if os.Getenv("HEARTH_E2E") != "1" {
		t.Skip("runs QEMU; HEARTH_E2E=1 is not set")
	}
}

// guestConfig is a guest that boots hypervisortest.BootSector.
func guestConfig(t testing.TB) hypervisor.Config {
	dir := t.TempDir()
	disk := filepath.Join(dir, "disk.raw")
	if err := os.WriteFile(disk, append(hypervisortest.BootSector(), make([]byte, 1<<20-512)...), 0o600); err != nil {
		t.Fatal(err)
	}
	return hypervisor.Config{ID: filepath.Base(dir) + fmt.Sprint(time.Now().UnixNano()), Name: "boot", VCPUs: 1, MemoryMB: 32,
		UUID: "7e7e1a1e-0000-4000-8000-000000000001", SMBIOS: hypervisor.OpenStackSMBIOS("7e7e1a1e"),
		Disks: []hypervisor.Disk{{ID: "root", Path: disk, Format: hypervisor.FormatRaw, Serial: "root,1", BootIndex: 1}}, Dir: filepath.Join(dir, "run")}
}

// typing sends a key to a guest's serial console.
func typing(key string) func(*testing.T, hypervisor.Handle) {
	return func(t *testing.T, h hypervisor.Handle) {
		t.Helper()
		conn, err := connect(t.Context(), h.Dir, hypervisor.FileSerial)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if _, err := conn.Write([]byte(key)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestContract(t *testing.T) {
	real(t)
	cache := t.TempDir()
	hypervisortest.Run(t, hypervisortest.Subject{
		Driver: func() hypervisor.Driver { return New(Options{CacheDir: cache}) },
		Config: func(t *testing.T) hypervisor.Config { return guestConfig(t) }, Greeting: hypervisortest.BootGreeting,
		Tap: func(t *testing.T) *os.File {
			if os.Geteuid() != 0 {
				t.Skip("only root can make a tap device")
			}
			return openTap(t, "hyptap1")
		},
		PowerOff: typing("p"), Reboot: typing("r"),
		Crash: func(t *testing.T, h hypervisor.Handle) {
			p, err := hold(h.PID, h.Started, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.kill(); err != nil {
				t.Fatal(err)
			}
			<-p.done
		},
	})
}

func launch(t testing.TB, o Options, cfg hypervisor.Config) hypervisor.Guest {
	t.Helper()
	g, err := New(o).Start(t.Context(), cfg)
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(cfg.Dir, hypervisor.FileLog))
		t.Fatalf("%v\n%s", err, log)
	}
	t.Cleanup(func() { g.Quit(t.Context()) })
	return g
}

func TestGuestIsNobody(t *testing.T) {
	real(t)
	if os.Geteuid() != 0 {
		t.Skip("only root can give guests users of their own")
	}
	a, b := launch(t, Options{}, guestConfig(t)).Handle(), launch(t, Options{}, guestConfig(t)).Handle()
	owner := func(h hypervisor.Handle) uint32 {
		var s unix.Stat_t
		if err := unix.Stat(fmt.Sprintf("/proc/%d", h.PID), &s); err != nil {
			t.Fatal(err)
		}
		return s.Uid
	}
	if owner(a) < 64000 || owner(b) < 64000 || owner(a) == owner(b) {
		t.Errorf("guests run as users %d and %d", owner(a), owner(b))
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.PID))
	if err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]string{"Groups": "", "CapEff": "0000000000000000", "CapPrm": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2"} {
		if got := statusField(string(status), field); got != want {
			t.Errorf("%s is %q, want %q", field, got, want)
		}
	}
	session, err := unix.Getsid(a.PID)
	if err != nil || session != a.PID {
		t.Errorf("session %d, %v", session, err)
	}
}

func TestOverlayAndConfigDrive(t *testing.T) {
	real(t)
	cfg := guestConfig(t)
	base := cfg.Disks[0].Path
	dir := filepath.Dir(base)
	if err := os.Chmod(base, 0o400); err != nil {
		t.Fatal(err)
	}
	overlay := filepath.Join(dir, "overlay.qcow2")
	// The header names a file that is not the base: only what the configuration says may be opened.
	makeOverlay(t, overlay, "/etc/hostname", 1<<20)
	iso := filepath.Join(dir, "config.iso")
	if err := os.WriteFile(iso, make([]byte, 64<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.Disks = []hypervisor.Disk{
		{ID: "root", Path: overlay, Format: hypervisor.FormatQCOW2, Backing: &hypervisor.Backing{Path: base, Format: hypervisor.FormatRaw}, BootIndex: 1},
		{ID: "data", Path: base, Format: hypervisor.FormatRaw, Bus: hypervisor.BusSCSI, ReadOnly: true},
		{ID: "config", Path: iso, Format: hypervisor.FormatRaw, CDROM: true, ReadOnly: true},
	}
	g := launch(t, Options{}, cfg)
	waitForText(t, g.Handle().ConsoleLog(), hypervisortest.BootGreeting)
}

func TestWhyItDidNotStart(t *testing.T) {
	real(t)
	for name, c := range map[string]struct {
		spoil func(*hypervisor.Config)
		kind  cloud.Kind
		words string
	}{
		"no such disk":    {func(c *hypervisor.Config) { c.Disks[0].Path = "/nonexistent/disk" }, cloud.NotFound, "/nonexistent/disk"},
		"a directory":     {func(c *hypervisor.Config) { c.Disks[0].Path = "/proc" }, cloud.Internal, "/proc"},
		"not a qcow2":     {func(c *hypervisor.Config) { c.Disks[0].Format = hypervisor.FormatQCOW2 }, cloud.Internal, "Image is not in qcow2 format"},
		"no such machine": {func(c *hypervisor.Config) { c.Machine = "vax" }, cloud.Internal, "unsupported machine type"},
		"a NIC with no tap": {func(c *hypervisor.Config) {
			c.NICs = []hypervisor.NIC{{ID: "net0", MAC: "02:00:00:00:00:01"}}
		}, cloud.Internal, "without an open tap"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := guestConfig(t)
			c.spoil(&cfg)
			_, err := New(Options{}).Start(t.Context(), cfg)
			if !cloud.Is(err, c.kind) || !contains(err, c.words) {
				t.Errorf("got %v", err)
			}
			if left, err := New(Options{}).List(t.Context(), cfg.Dir); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

func TestNIC(t *testing.T) {
	real(t)
	if os.Geteuid() != 0 {
		t.Skip("only root can make a tap device")
	}
	tap := openTap(t, "hyptap0")
	cfg := guestConfig(t)
	cfg.NICs = []hypervisor.NIC{{ID: "net0", MAC: "02:00:00:00:00:01", Tap: tap, MTU: 1450}}
	g := launch(t, Options{}, cfg)
	waitForText(t, g.Handle().ConsoleLog(), hypervisortest.BootGreeting)
	if slot := slotOf(t, g, "net0"); slot != 3 {
		t.Errorf("the first NIC is in slot %d; Linux would not call it ens3", slot)
	}
	tap.Close()
	if _, err := os.Stat("/sys/class/net/hyptap0"); err != nil {
		t.Errorf("the guest does not hold its tap: %v", err)
	}
	if err := g.Quit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/sys/class/net/hyptap0"); err == nil {
		t.Error("the tap is still there without the guest")
	}
}

func TestDirectBoot(t *testing.T) {
	real(t)
	for name, mode := range map[string]os.FileMode{"readable by all": 0o644, "readable by root": 0o600} {
		t.Run(name, func(t *testing.T) {
			cfg := guestConfig(t)
			cfg.Kernel, cfg.Initrd, cfg.Cmdline = cfg.Dir+".kernel", cfg.Dir+".initrd", "console=ttyS0"
			// No bzImage by its header: QEMU loads it as a kernel of the old protocol, from where it is jumped to and hangs.
			if err := os.WriteFile(cfg.Kernel, oldKernel(), mode); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(cfg.Initrd, make([]byte, 4096), mode); err != nil {
				t.Fatal(err)
			}
			g := launch(t, Options{}, cfg)
			if state, err := g.State(t.Context()); err != nil || state != hypervisor.StateRunning {
				t.Errorf("state %q, %v", state, err)
			}
		})
	}
}

// slotOf asks QEMU for the PCI slot of a device.
func slotOf(t *testing.T, g hypervisor.Guest, id string) int {
	t.Helper()
	var buses []struct {
		Devices []struct {
			Slot int    `json:"slot"`
			ID   string `json:"qdev_id"`
		} `json:"devices"`
	}
	if err := g.(*guest).mon.Execute(t.Context(), "query-pci", nil, &buses); err != nil {
		t.Fatal(err)
	}
	for _, d := range buses[0].Devices {
		if d.ID == id {
			return d.Slot
		}
	}
	return -1
}
