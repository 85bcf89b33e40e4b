package hypervisortest

import (
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// swap mirrors a disk to another and switches to it.
func swap(t *testing.T, g hypervisor.Guest, id string, to hypervisor.Disk) {
	t.Helper()
	for {
		alike, err := g.MirrorDisk(limit(t), id, to)
		must(t, err)
		if alike {
			break
		}
		await(t, g, hypervisor.EventMirrored)
	}
	for {
		done, err := g.SwitchDisk(limit(t), id, to.ID)
		must(t, err)
		if done {
			break
		}
		await(t, g, hypervisor.EventMirrored)
	}
	if _, old := device(t, g, id); old {
		t.Errorf("the guest has %s still", id)
	}
	if d, there := device(t, g, to.ID); !there || !d.Disk {
		t.Errorf("the guest does not have %s: %+v", to.ID, d)
	}
}

func mirror(t *testing.T, s Subject) {
	driver, g := s.start(t)
	s.up(t, g.Handle(), 1)
	one, two := spareDisk(t, "vol-1"), spareDisk(t, "vol-2")
	must(t, g.PlugDisk(limit(t), one))
	_, err := g.SwitchDisk(limit(t), "vol-1", "vol-2")
	wantKind(t, "switch to what is not a copy", err, cloud.Conflict)
	_, err = g.MirrorDisk(limit(t), "vol-3", two)
	wantKind(t, "mirror what is not there", err, cloud.NotFound)
	_, err = g.MirrorDisk(limit(t), "vol-1", hypervisor.Disk{ID: "x", Path: "/x"})
	wantKind(t, "a guessed format", err, cloud.Invalid)

	_, err = g.MirrorDisk(limit(t), "vol-1", two)
	must(t, err)
	must(t, g.Close()) // another agent goes on with it
	g, err = driver.Recover(limit(t), g.Handle())
	must(t, err)
	defer g.Close()
	swap(t, g, "vol-1", two)
	if alike, err := g.MirrorDisk(limit(t), "vol-1", two); err != nil || !alike {
		t.Errorf("after the switch: %t, %v", alike, err)
	}
	if done, err := g.SwitchDisk(limit(t), "vol-1", "vol-2"); err != nil || !done {
		t.Errorf("after the switch: %t, %v", done, err)
	}
	must(t, g.PlugDisk(limit(t), one)) // it is free, though a device had its name
	if _, there := device(t, g, "vol-1"); !there {
		t.Error("vol-1 cannot come back")
	}
	letGo(t, g, "vol-2", "vol-1")
	if _, there := device(t, g, "vol-1"); !there {
		t.Error("vol-1 went with vol-2")
	}
	must(t, g.Pause(limit(t)))
	swap(t, g, "vol-1", two) // nobody in the guest need know
	wantState(t, g, hypervisor.StatePaused)
	must(t, g.Resume(limit(t)))
}

func password(t *testing.T, s Subject) {
	_, g := s.start(t)
	s.up(t, g.Handle(), 1)
	wantKind(t, "a password of a guest without an agent", g.SetPassword(limit(t), "root", "secret"), cloud.Unsupported)
	must(t, g.Quit(limit(t)))
	wantKind(t, "a password of what is gone", g.SetPassword(limit(t), "root", "secret"), cloud.NotFound)
}
