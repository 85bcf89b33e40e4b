package hypervisortest

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// spareDisk is a disk of a megabyte.
func spareDisk(t *testing.T, id string) hypervisor.Disk {
	t.Helper()
	path := filepath.Join(t.TempDir(), id)
	must(t, os.WriteFile(path, nil, 0o600))
	must(t, os.Truncate(path, 1<<20))
	return hypervisor.Disk{ID: id, Path: path, Format: hypervisor.FormatRaw, Serial: "spare"}
}

// device finds a device of the guest.
func device(t *testing.T, g hypervisor.Guest, id string) (hypervisor.Device, bool) {
	t.Helper()
	all, err := g.Devices(limit(t))
	must(t, err)
	i := slices.IndexFunc(all, func(d hypervisor.Device) bool { return d.ID == id })
	if i < 0 {
		return hypervisor.Device{}, false
	}
	return all[i], true
}

// letGo unplugs a device, which was plugged as the disk was. The guest may answer at once, or as most that have no system for it, at its next reset.
func letGo(t *testing.T, g hypervisor.Guest, id string, was ...string) {
	t.Helper()
	gone, err := g.Unplug(limit(t), id)
	must(t, err)
	if !gone {
		must(t, g.Reset(limit(t)))
		if e := await(t, g, hypervisor.EventUnplugged); e.Reason != id && !slices.Contains(was, e.Reason) {
			t.Errorf("unplugged %q, not %q", e.Reason, id)
		}
	}
	gone, err = g.Unplug(limit(t), id)
	must(t, err)
	if _, there := device(t, g, id); !gone || there {
		t.Errorf("%s: gone %t, listed %t", id, gone, there)
	}
}

func plugDisk(t *testing.T, s Subject) {
	driver, g := s.start(t)
	s.up(t, g.Handle(), 1)
	disk := spareDisk(t, "vol-1")
	for range 2 {
		must(t, g.PlugDisk(limit(t), disk))
	}
	if d, there := device(t, g, "vol-1"); !there || !d.Disk || d.MAC != "" || d.Address == "" {
		t.Fatalf("%+v, %t", d, there)
	}
	must(t, g.ResizeDisk(limit(t), "vol-1", 3<<20))
	if d, _ := device(t, g, "vol-1"); d.Size != 3<<20 {
		t.Errorf("resized to %d bytes", d.Size)
	}
	wantKind(t, "resize what is not there", g.ResizeDisk(limit(t), "vol-2", 1<<20), cloud.NotFound)
	must(t, g.Close()) // another agent finds it
	g, err := driver.Recover(limit(t), g.Handle())
	must(t, err)
	defer g.Close()
	letGo(t, g, "vol-1")
	must(t, g.PlugDisk(limit(t), disk)) // and it can come back
	letGo(t, g, "vol-1")

	other := s.startOn(t, driver, s.Config(t)) // which opens it, so nobody has it any more
	must(t, other.PlugDisk(limit(t), disk))
}

func plugNIC(t *testing.T, s Subject) {
	_, g := s.start(t)
	s.up(t, g.Handle(), 1)
	tap := s.Tap(t)
	nic := hypervisor.NIC{ID: "nic-1", MAC: "fa:16:3e:AA:00:01", MTU: 1400, Tap: tap}
	for range 2 {
		must(t, g.PlugNIC(limit(t), nic))
	}
	if d, there := device(t, g, "nic-1"); !there || d.Disk || d.MAC != "fa:16:3e:aa:00:01" {
		t.Fatalf("%+v, %t", d, there)
	}
	letGo(t, g, "nic-1")
	must(t, g.PlugNIC(limit(t), nic)) // its tap is free again
	letGo(t, g, "nic-1")
}

func plugRefused(t *testing.T, s Subject) {
	_, g := s.start(t)
	wantKind(t, "a guessed format", g.PlugDisk(limit(t), hypervisor.Disk{ID: "x", Path: "/x"}), cloud.Invalid)
	ide := spareDisk(t, "ide-1")
	ide.Bus = hypervisor.BusIDE
	wantKind(t, "IDE", g.PlugDisk(limit(t), ide), cloud.Conflict)
	wantKind(t, "a NIC without a MAC", g.PlugNIC(limit(t), hypervisor.NIC{ID: "nic-1"}), cloud.Invalid)
	if gone, err := g.Unplug(limit(t), "never"); !gone || err != nil {
		t.Errorf("what was never there: %t, %v", gone, err)
	}
	must(t, g.Quit(limit(t)))
	wantKind(t, "plug into a guest that is gone", g.PlugDisk(limit(t), spareDisk(t, "vol-1")), cloud.NotFound)
	_, err := g.Devices(limit(t))
	wantKind(t, "devices of a guest that is gone", err, cloud.NotFound)
}

// eject takes a disc out of a drive on IDE, which no guest parts with while it runs: it is empty at once.
func eject(t *testing.T, s Subject) {
	d, cfg := s.Driver(), s.Config(t)
	disc := spareDisk(t, "cd0")
	disc.Bus, disc.CDROM, disc.ReadOnly, disc.BootIndex = hypervisor.BusIDE, true, true, 2
	cfg.Disks = append(cfg.Disks, disc)
	g := s.startOn(t, d, cfg)
	s.up(t, g.Handle(), 1)
	if _, there := device(t, g, "cd0"); !there {
		t.Error("no disc is in the drive")
	}
	for range 2 {
		gone, err := g.Unplug(limit(t), "cd0")
		must(t, err)
		if _, there := device(t, g, "cd0"); there || !gone {
			t.Errorf("ejected: %t, listed: %t", gone, there)
		}
	}
	wantState(t, g, hypervisor.StateRunning)
}
