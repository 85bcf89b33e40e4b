package qemu

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
	"hearth/internal/driver/hypervisor/hypervisortest"
)

func emptyDisk(t *testing.T, id string) hypervisor.Disk {
	t.Helper()
	path := filepath.Join(t.TempDir(), id)
	if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	return hypervisor.Disk{ID: id, Path: path, Format: hypervisor.FormatRaw, Serial: id}
}

// TestSparePorts fills the ports of a q35 guest, and the controller that its SCSI
// disks share.
func TestSparePorts(t *testing.T) {
	real(t)
	cfg := guestConfig(t)
	cfg.Machine = "q35"
	g := launch(t, Options{}, cfg)
	waitForText(t, g.Handle().ConsoleLog(), hypervisortest.BootGreeting)
	for i := range 2 { // on one port with their controller
		d := emptyDisk(t, fmt.Sprintf("scsi-%d", i))
		d.Bus = hypervisor.BusSCSI
		if err := g.PlugDisk(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	for i := range sparePorts - 1 {
		if err := g.PlugDisk(t.Context(), emptyDisk(t, fmt.Sprintf("vol-%d", i))); err != nil {
			t.Fatalf("disk %d: %v", i, err)
		}
	}
	if err := g.PlugDisk(t.Context(), emptyDisk(t, "vol-x")); !cloud.Is(err, cloud.Conflict) || !strings.Contains(err.Error(), "spare") {
		t.Errorf("one too many: %v", err)
	}
	nodes, err := g.(*guest).blockNodes(t.Context(), "test")
	if _, left := nodes["disk-vol-x"]; err != nil || left {
		t.Errorf("left of it: %t, %v", left, err)
	}
	devices, err := g.Devices(t.Context())
	if err != nil || len(devices) != 1+2+sparePorts-1 {
		t.Errorf("%d devices, %v", len(devices), err)
	}
	// A SCSI disk goes without the guest's consent: at once, or a moment later, which an event tells.
	gone, err := g.Unplug(t.Context(), "scsi-0")
	for err == nil && !gone {
		select {
		case e, open := <-g.Events():
			if !open {
				t.Fatal("the guest ended")
			}
			if e.Kind == hypervisor.EventUnplugged && e.Reason == "scsi-0" {
				gone, err = g.Unplug(t.Context(), "scsi-0")
			}
		case <-time.After(2 * time.Minute):
			t.Fatal("no event tells that the disk has gone")
		}
	}
	if err != nil {
		t.Error(err)
	}
}

// TestMirrorCopies has a guest's disk move to another file, and a failed copy leave nothing.
func TestMirrorCopies(t *testing.T) {
	real(t)
	g := launch(t, Options{}, guestConfig(t)).(*guest)
	ctx := t.Context()
	from, to := emptyDisk(t, "vol-1"), emptyDisk(t, "vol-2")
	data := bytes.Repeat([]byte("hearth volume\n"), 1<<20/14)
	if err := os.WriteFile(from.Path, append(data, make([]byte, 1<<20-len(data))...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := g.PlugDisk(ctx, from); err != nil {
		t.Fatal(err)
	}
	small := emptyDisk(t, "vol-3")
	small.Path = "/dev/full" // no disk at all
	if _, err := g.MirrorDisk(ctx, "vol-1", small); err == nil {
		t.Error("a disk was mirrored to what is none")
	}
	next := func() {
		select {
		case _, open := <-g.Events():
			if !open {
				t.Fatal("the guest ended")
			}
		case <-time.After(2 * time.Minute):
			t.Fatal("nothing happens")
		}
	}
	for {
		alike, err := g.MirrorDisk(ctx, "vol-1", to)
		if err != nil {
			t.Fatal(err)
		}
		if alike {
			break
		}
		next()
	}
	for {
		done, err := g.SwitchDisk(ctx, "vol-1", "vol-2")
		if err != nil {
			t.Fatal(err)
		}
		if done {
			break
		}
		next()
	}
	got, err := os.ReadFile(to.Path)
	if err != nil || !bytes.HasPrefix(got, data) {
		t.Errorf("%d bytes were copied, %v", len(got), err)
	}
	nodes, err := g.blockNodes(ctx, "test")
	if _, left := nodes["disk-vol-1"]; err != nil || left {
		t.Errorf("the old file is open: %t, %v", left, err)
	}
}

// TestHalfPlugged meets what an agent leaves that is killed between two commands.
func TestHalfPlugged(t *testing.T) {
	real(t)
	if os.Geteuid() != 0 {
		t.Skip("only root can make a tap device")
	}
	g := launch(t, Options{}, guestConfig(t)).(*guest)
	ctx, disk := t.Context(), emptyDisk(t, "vol-1")
	if err := g.addBlock(ctx, "test", disk); err != nil {
		t.Fatal(err)
	}
	if err := g.PlugDisk(ctx, disk); err != nil {
		t.Errorf("half a disk is not made whole: %v", err)
	}
	if err := g.addBlock(ctx, "test", emptyDisk(t, "vol-2")); err != nil {
		t.Fatal(err)
	}
	if gone, err := g.Unplug(ctx, "vol-2"); !gone || err != nil {
		t.Errorf("half a disk does not go: %t, %v", gone, err)
	}
	var sets []struct {
		FDs []struct{ Opaque string } `json:"fds"`
	}
	if err := g.ask(ctx, "test", nil, "query-fdsets", nil, &sets); err != nil || strings.Contains(fmt.Sprint(sets), "vol-2") || !strings.Contains(fmt.Sprint(sets), "vol-1") {
		t.Errorf("open files: %v, %v", sets, err)
	}
	tap := openTap(t, "hyptap2")
	defer tap.Close()
	if err := g.ask(ctx, "test", tap, "getfd", map[string]any{"fdname": "net-nic-1"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := g.ask(ctx, "test", nil, "netdev_add", map[string]any{"type": "tap", "id": "net-nic-1", "fd": "net-nic-1"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := g.PlugNIC(ctx, hypervisor.NIC{ID: "nic-1", MAC: "fa:16:3e:00:00:01", Tap: tap}); err != nil {
		t.Errorf("half a NIC is not made whole: %v", err)
	}
}
