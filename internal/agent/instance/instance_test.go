package instance

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// with is the spec under a newer intent.
func with(spec cloud.InstanceSpec, change func(*cloud.Intent)) cloud.InstanceSpec {
	spec.Intent.Generation++
	change(&spec.Intent)
	return spec
}

func off(in *cloud.Intent)  { in.Power = cloud.PowerOff }
func on(in *cloud.Intent)   { in.Power = cloud.PowerOn }
func soft(in *cloud.Intent) { in.Reboots++; in.HardReboot = false }
func hard(in *cloud.Intent) { in.Reboots++; in.HardReboot = true }

func running(t *testing.T, w *world) (*Manager, cloud.InstanceSpec) {
	t.Helper()
	m, spec := w.agent(), w.spec()
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, 1)
	return m, spec
}

func pid(t *testing.T, m *Manager, id string) int {
	t.Helper()
	handles, err := m.Hypervisor.List(t.Context(), m.GuestDir(id))
	if err != nil || len(handles) != 1 {
		t.Fatalf("handles: %v, %v", handles, err)
	}
	return handles[0].PID
}

func TestCreate(t *testing.T) {
	w := newWorld(t)
	m, spec := running(t, w)
	cfg, state := w.host.Guest(spec.ID)
	if state != hypervisor.StateRunning || cfg.UUID != spec.ID || cfg.SMBIOS.Product != "OpenStack Nova" {
		t.Errorf("guest %s: %+v", state, cfg)
	}
	var disks []string
	for _, d := range cfg.Disks {
		disks = append(disks, d.ID)
	}
	if !slices.Equal(disks, []string{"root", "ephemeral0", "swap", "config"}) || cfg.Disks[0].BootIndex != 1 || !cfg.Disks[3].ReadOnly {
		t.Errorf("disks: %+v", cfg.Disks)
	}
	if len(cfg.NICs) != 2 || cfg.NICs[0].MAC != spec.Ports[0].MAC || cfg.NICs[0].MTU != 1450 {
		t.Errorf("NICs: %+v", cfg.NICs)
	}
	if cfg.Kernel == "" || !strings.HasPrefix(cfg.Cmdline, "root=/dev/vda ") {
		t.Errorf("kernel %q, command line %q", cfg.Kernel, cfg.Cmdline)
	}
	st := m.Statuses()[0]
	var names []string
	for _, s := range st.Steps {
		names = append(names, s.Name)
	}
	if want := []string{"image", "disk", "ephemeral", "swap", "config-drive", "ports", "guest"}; !slices.Equal(names, want) {
		t.Errorf("timeline %v, want %v", names, want)
	}
	if text, err := m.Console(spec.ID, 7); err != nil || string(text) != "login: " {
		t.Errorf("console: %q, %v", text, err)
	}
}

func TestCommandLine(t *testing.T) {
	for _, c := range []struct{ property, extra, bus, want string }{
		{"", "", "virtio", "root=/dev/vda console=tty0 console=ttyS0"},
		{"", "quiet", "scsi", "root=/dev/sda console=tty0 console=ttyS0 quiet"},
		{"root=LABEL=x", "quiet", "virtio", "root=LABEL=x quiet"},
	} {
		spec := cloud.InstanceSpec{KernelArgs: c.extra, ImageProperties: map[string]string{"os_command_line": c.property}}
		if got := commandLine(spec, c.bus); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestHardwareOfTheImage(t *testing.T) {
	w := newWorld(t)
	m := w.agent()
	spec := w.spec()
	spec.ImageProperties = map[string]string{"hw_disk_bus": "sata", "hw_vif_model": "e1000", "hw_machine_type": "pc", "hearth_datasource": "nocloud"}
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, 1)
	cfg, _ := w.host.Guest(spec.ID)
	if cfg.Disks[0].Bus != "ide" || !cfg.Disks[3].CDROM || cfg.NICs[0].Model != "e1000" || cfg.Machine != "pc" ||
		cfg.SMBIOS.Serial != "ds=nocloud-net;s=http://169.254.169.254/nocloud/" || strings.Contains(cfg.SMBIOS.Product, "OpenStack") {
		t.Errorf("%+v", cfg)
	}
	for property, value := range map[string]string{"hw_disk_bus": "floppy", "hw_vif_model": "token,ring=on", "hw_machine_type": "pdp-11", "hearth_datasource": "floppy"} {
		bad := w.spec()
		bad.ImageProperties = map[string]string{property: value}
		must(t, m.Apply(t.Context(), bad))
		st := awaitState(t, m, bad.ID, cloud.InstanceFailed, 1)
		if !strings.Contains(st.Error, property+"="+value) {
			t.Errorf("%s: %s", property, st.Error)
		}
	}
}

func TestOlderIntentIsRefused(t *testing.T) {
	w := newWorld(t)
	m, spec := running(t, w)
	must(t, m.Apply(t.Context(), spec))
	newer := with(spec, off)
	must(t, m.Apply(t.Context(), newer))
	if err := m.Apply(t.Context(), spec); !cloud.Is(err, cloud.Conflict) {
		t.Errorf("got %v", err)
	}
	bad := spec
	bad.ID = "../etc"
	if err := m.Apply(t.Context(), bad); !cloud.Is(err, cloud.Invalid) {
		t.Errorf("got %v", err)
	}
}

func TestPowerOffAndOn(t *testing.T) {
	w := newWorld(t)
	m, spec := running(t, w)
	spec = with(spec, off)
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceStopped, 2)
	if n := w.host.Running(); n != 0 {
		t.Errorf("%d guests", n)
	}
	if p := w.ports.list(); len(p) != 0 {
		t.Errorf("plugged: %v", p)
	}
	spec = with(spec, on)
	must(t, m.Apply(t.Context(), spec))
	st := awaitState(t, m, spec.ID, cloud.InstanceRunning, 3)
	if len(st.Steps) != 3 || st.Steps[2].Name != "guest" {
		t.Errorf("the second start: %+v", st.Steps)
	}
}

func TestDeafGuestIsEndedByForce(t *testing.T) {
	w := newWorld(t)
	m, spec := running(t, w)
	w.host.IgnoreButton(spec.ID)
	spec = with(spec, off)
	must(t, m.Apply(t.Context(), spec))
	began := w.clock.Now()
	w.timers.next(t)
	awaitState(t, m, spec.ID, cloud.InstanceStopped, 2)
	if grace := w.clock.Now().Sub(began); grace != time.Minute {
		t.Errorf("it had %v", grace)
	}
}

func TestReboots(t *testing.T) {
	for name, kind := range map[string]func(*cloud.Intent){"soft": soft, "hard": hard} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			m, spec := running(t, w)
			before := pid(t, m, spec.ID)
			if name == "hard" {
				w.host.IgnoreButton(spec.ID)
			}
			var stopped bool
			ctx, cancel := context.WithCancel(t.Context())
			watched := make(chan struct{})
			go func() {
				defer close(watched)
				_ = m.Watch(ctx, func(st cloud.InstanceStatus) { stopped = stopped || st.State == cloud.InstanceStopped })
			}()
			spec = with(spec, kind)
			must(t, m.Apply(t.Context(), spec))
			st := awaitState(t, m, spec.ID, cloud.InstanceRunning, 2)
			cancel()
			<-watched
			if st.Reboots != 1 || pid(t, m, spec.ID) == before || stopped {
				t.Errorf("%+v; reported stopped in between: %v", st, stopped)
			}
		})
	}
}

func TestGuestPowersItselfOff(t *testing.T) {
	w := newWorld(t)
	m, spec := running(t, w)
	w.host.PowerOff(spec.ID)
	st := awaitState(t, m, spec.ID, cloud.InstanceStopped, 1)
	if st.Error != "" || w.host.Running() != 0 {
		t.Errorf("%+v, %d processes", st, w.host.Running())
	}
	must(t, m.Apply(t.Context(), spec)) // the same intent does not start it again
	must(t, m.Close())
	m = w.agent() // nor does a new agent
	awaitState(t, m, spec.ID, cloud.InstanceStopped, 1)
	spec = with(spec, on)
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, 2)
}

func TestGuestResetsItself(t *testing.T) {
	w := newWorld(t)
	m, spec := running(t, w)
	before := pid(t, m, spec.ID)
	w.host.Reboot(spec.ID)
	spec = with(spec, on)
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, 2)
	if pid(t, m, spec.ID) != before {
		t.Error("the guest was replaced")
	}
}

func TestCrashOfTheGuestsProcess(t *testing.T) {
	w := newWorld(t)
	m, spec := running(t, w)
	w.host.Crash(spec.ID)
	st := awaitState(t, m, spec.ID, cloud.InstanceStopped, 1)
	if !strings.Contains(st.Error, "ended unexpectedly") {
		t.Errorf("%q", st.Error)
	}
	spec = with(spec, hard)
	must(t, m.Apply(t.Context(), spec))
	if st := awaitState(t, m, spec.ID, cloud.InstanceRunning, 2); st.Error != "" {
		t.Errorf("%q", st.Error)
	}
}

func TestAgentRestartTouchesNoGuest(t *testing.T) {
	w := newWorld(t)
	m, spec := running(t, w)
	before := pid(t, m, spec.ID)
	must(t, m.Close())
	m = w.agent()
	awaitState(t, m, spec.ID, cloud.InstanceRunning, 1)
	spec = with(spec, on) // once this is settled, the guest has been found
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, 2)
	if pid(t, m, spec.ID) != before {
		t.Error("the guest was replaced")
	}
	w.host.PowerOff(spec.ID)
	awaitState(t, m, spec.ID, cloud.InstanceStopped, 2)
}

func TestGuestEndsWhileTheAgentIsAway(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(*world, string)
		text string
	}{
		"poweroff": {func(w *world, id string) { w.host.PowerOff(id) }, ""},
		"crash":    {func(w *world, id string) { w.host.Crash(id) }, "is gone"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			m, spec := running(t, w)
			must(t, m.Close())
			c.end(w, spec.ID)
			m = w.agent()
			st := awaitState(t, m, spec.ID, cloud.InstanceStopped, 1)
			if !strings.Contains(st.Error, c.text) || c.text == "" && st.Error != "" {
				t.Errorf("error %q, want %q", st.Error, c.text)
			}
		})
	}
}

func TestHostReboot(t *testing.T) {
	w := newWorld(t)
	m, spec := running(t, w)
	other := w.spec()
	must(t, m.Apply(t.Context(), other))
	awaitState(t, m, other.ID, cloud.InstanceRunning, 1)
	other = with(other, off)
	must(t, m.Apply(t.Context(), other))
	awaitState(t, m, other.ID, cloud.InstanceStopped, 2)
	must(t, m.Close())
	w.host.RebootHost()
	m = w.agent()
	await(t, m, spec.ID, "running anew", func(st cloud.InstanceStatus) bool {
		return st.State == cloud.InstanceRunning && w.host.Running() == 1
	})
	awaitState(t, m, other.ID, cloud.InstanceStopped, 2)
	if w.host.Running() != 1 {
		t.Errorf("%d guests", w.host.Running())
	}
}

func TestPassingFailureIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	m, spec := w.agent(), w.spec()
	w.ports.failWith(cloud.E("network.Plug", cloud.NotFound, "the network is not here yet"))
	must(t, m.Apply(t.Context(), spec))
	await(t, m, spec.ID, "held up", func(st cloud.InstanceStatus) bool {
		return len(st.Steps) == 6 && st.Steps[5].Error == "the network is not here yet"
	})
	w.ports.failWith(nil)
	w.timers.next(t)
	awaitState(t, m, spec.ID, cloud.InstanceRunning, 1)
}

func TestFailureForGoodIsUndone(t *testing.T) {
	w := newWorld(t)
	m, spec := w.agent(), w.spec()
	w.host.FailNextStart(cloud.E("hypervisor.Start", cloud.Invalid, "no such machine"))
	must(t, m.Apply(t.Context(), spec))
	st := awaitState(t, m, spec.ID, cloud.InstanceFailed, 1)
	if st.Error != "no such machine" {
		t.Errorf("error %q", st.Error)
	}
	if left := w.leftovers(); !slices.Equal(left, []string{"folder " + spec.ID}) {
		t.Errorf("left: %v", left)
	}
	spec = with(spec, on)
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, 2)
	// A later start that fails leaves the disk, which is the owner's by now.
	w.host.FailNextStart(cloud.E("hypervisor.Start", cloud.Invalid, "no such machine"))
	spec = with(spec, hard)
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceFailed, 3)
	if _, err := w.storage.Disk(t.Context(), spec.ID+"-root"); err != nil {
		t.Error(err)
	}
	must(t, m.Remove(t.Context(), spec.ID))
	gone(t, m, spec.ID)
	if left := w.leftovers(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestPassingFailureThatStaysIsGivenUp(t *testing.T) {
	w := newWorld(t)
	m, spec := w.agent(), w.spec()
	w.storage.Fail(func(op, _ string) error {
		if op == "CloneDisk" {
			return cloud.E("storage.CloneDisk", cloud.Unavailable, "not today")
		}
		return nil
	})
	must(t, m.Apply(t.Context(), spec))
	w.timers.next(t)
	w.timers.next(t)
	st := awaitState(t, m, spec.ID, cloud.InstanceFailed, 1)
	if len(st.Steps) != 4 || st.Steps[3].Name != "disk" || st.Error != "not today" {
		t.Errorf("%+v", st)
	}
}

func TestRemovalDuringCreate(t *testing.T) {
	w := newWorld(t)
	reached, leave := make(chan struct{}), make(chan struct{})
	m := w.agent(func(c *Config) {
		c.Hook = func(point string) {
			if point == "instance.disk.before" {
				close(reached)
				<-leave
			}
		}
	})
	spec := w.spec()
	must(t, m.Apply(t.Context(), spec))
	<-reached
	must(t, m.Remove(t.Context(), spec.ID))
	if st := m.Statuses()[0]; st.State != cloud.InstanceRemoving {
		t.Errorf("%+v", st)
	}
	if err := m.Apply(t.Context(), spec); !cloud.Is(err, cloud.Conflict) {
		t.Errorf("Apply of a condemned instance: %v", err)
	}
	close(leave)
	gone(t, m, spec.ID)
	if left := w.leftovers(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	must(t, m.Remove(t.Context(), spec.ID))
}

func TestRemovalGoesOnUntilItIsDone(t *testing.T) {
	w := newWorld(t)
	m, spec := running(t, w)
	var mended atomic.Bool
	w.storage.Fail(func(op, _ string) error {
		if op == "RemoveDisk" && !mended.Load() {
			return errors.New("the disk is busy")
		}
		return nil
	})
	must(t, m.Remove(t.Context(), spec.ID))
	w.timers.next(t)
	w.timers.next(t)
	w.timers.await(t)
	mended.Store(true)
	w.timers.next(t)
	gone(t, m, spec.ID)
	if left := w.leftovers(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestPowerOnOvertakesAShutdown(t *testing.T) {
	w := newWorld(t)
	m, spec := running(t, w)
	w.host.IgnoreButton(spec.ID)
	spec = with(spec, off)
	must(t, m.Apply(t.Context(), spec))
	w.timers.mu.Lock()
	added := make(chan struct{})
	if len(w.timers.set) > 0 {
		close(added)
	} else {
		w.timers.added = added
	}
	w.timers.mu.Unlock()
	<-added // the button is pressed
	spec = with(spec, on)
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, 3)
	before := pid(t, m, spec.ID)
	w.host.PowerOff(spec.ID) // it heeds the button late
	await(t, m, spec.ID, "running anew", func(st cloud.InstanceStatus) bool {
		handles, _ := m.Hypervisor.List(context.Background(), m.GuestDir(spec.ID))
		return st.State == cloud.InstanceRunning && len(handles) == 1 && handles[0].PID != before
	})
}
