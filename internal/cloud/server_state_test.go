package cloud

import (
	"strings"
	"testing"
	"time"
)

// states are the observations and intents a server can be in, with what nova's
// API shows for them.
var states = []struct {
	name             string
	intent           Intent
	seen             Observation
	node             string
	built, fault     bool
	status, vm, task string
	power            int
	settled          bool
}{
	{name: "just created", intent: Intent{Generation: 1, Power: PowerOn},
		status: "BUILD", vm: VMBuilding, task: TaskScheduling},
	{name: "placed", intent: Intent{Generation: 1, Power: PowerOn}, node: "n1",
		status: "BUILD", vm: VMBuilding, task: TaskSpawning},
	{name: "being prepared", intent: Intent{Generation: 1, Power: PowerOn}, node: "n1", seen: Observation{State: InstancePreparing, Step: "disk"},
		status: "BUILD", vm: VMBuilding, task: TaskSpawning},
	{name: "runs, not yet noted as launched", intent: Intent{Generation: 1, Power: PowerOn}, node: "n1", seen: Observation{Generation: 1, State: InstanceRunning},
		status: "BUILD", vm: VMBuilding, task: TaskSpawning, power: PowerRunning},
	{name: "failed, the head has not decided", intent: Intent{Generation: 1, Power: PowerOn}, node: "n1", seen: Observation{State: InstanceFailed},
		status: "BUILD", vm: VMBuilding, task: TaskSpawning},
	{name: "no host fits", intent: Intent{Generation: 1, Power: PowerOn}, fault: true,
		status: "ERROR", vm: VMError, settled: true},
	{name: "active", intent: Intent{Generation: 1, Power: PowerOn}, node: "n1", built: true, seen: Observation{Generation: 1, State: InstanceRunning},
		status: "ACTIVE", vm: VMActive, power: PowerRunning, settled: true},
	{name: "runs in spite of an old fault", intent: Intent{Generation: 1, Power: PowerOn}, node: "n1", built: true, fault: true, seen: Observation{Generation: 1, State: InstanceRunning},
		status: "ACTIVE", vm: VMActive, power: PowerRunning, settled: true},
	{name: "paused by the host", intent: Intent{Generation: 1, Power: PowerOn}, node: "n1", built: true, seen: Observation{Generation: 1, State: InstancePaused},
		status: "PAUSED", vm: VMPaused, power: PowerPaused, settled: true},
	{name: "stop asked for", intent: Intent{Generation: 2, Power: PowerOff}, node: "n1", built: true, seen: Observation{Generation: 1, State: InstanceRunning},
		status: "ACTIVE", vm: VMActive, task: TaskPoweringOff, power: PowerRunning},
	{name: "stopped", intent: Intent{Generation: 2, Power: PowerOff}, node: "n1", built: true, seen: Observation{Generation: 2, State: InstanceStopped},
		status: "SHUTOFF", vm: VMStopped, power: PowerShutdown, settled: true},
	{name: "shut down from inside", intent: Intent{Generation: 1, Power: PowerOn}, node: "n1", built: true, seen: Observation{Generation: 1, State: InstanceStopped},
		status: "SHUTOFF", vm: VMStopped, power: PowerShutdown, settled: true},
	{name: "start asked for", intent: Intent{Generation: 3, Power: PowerOn}, node: "n1", built: true, seen: Observation{Generation: 2, State: InstanceStopped},
		status: "SHUTOFF", vm: VMStopped, task: TaskPoweringOn, power: PowerShutdown},
	{name: "being started", intent: Intent{Generation: 3, Power: PowerOn}, node: "n1", built: true, seen: Observation{Generation: 2, State: InstancePreparing},
		status: "SHUTOFF", vm: VMStopped, task: TaskPoweringOn},
	{name: "soft reboot asked for", intent: Intent{Generation: 2, Power: PowerOn, Reboots: 1}, node: "n1", built: true, seen: Observation{Generation: 1, State: InstanceRunning},
		status: "REBOOT", vm: VMActive, task: TaskRebooting, power: PowerRunning},
	{name: "hard reboot between two guests", intent: Intent{Generation: 2, Power: PowerOn, Reboots: 1, HardReboot: true}, node: "n1", built: true, seen: Observation{Generation: 1, State: InstancePreparing},
		status: "HARD_REBOOT", vm: VMActive, task: TaskRebootHard},
	{name: "hard reboot of a stopped one", intent: Intent{Generation: 3, Power: PowerOn, Reboots: 1, HardReboot: true}, node: "n1", built: true, seen: Observation{Generation: 2, State: InstanceStopped},
		status: "SHUTOFF", vm: VMStopped, task: TaskRebootHard, power: PowerShutdown},
	{name: "rebooted", intent: Intent{Generation: 2, Power: PowerOn, Reboots: 1}, node: "n1", built: true, seen: Observation{Generation: 2, State: InstanceRunning, Reboots: 1},
		status: "ACTIVE", vm: VMActive, power: PowerRunning, settled: true},
	{name: "stopped with a reboot never done", intent: Intent{Generation: 3, Power: PowerOff, Reboots: 1}, node: "n1", built: true, seen: Observation{Generation: 3, State: InstanceStopped},
		status: "SHUTOFF", vm: VMStopped, power: PowerShutdown, settled: true},
	{name: "restarted after a crash of its host", intent: Intent{Generation: 1, Power: PowerOn}, node: "n1", built: true, seen: Observation{Generation: 1, State: InstancePreparing},
		status: "ACTIVE", vm: VMActive, task: TaskPoweringOn},
	{name: "start failed", intent: Intent{Generation: 3, Power: PowerOn}, node: "n1", built: true, fault: true, seen: Observation{Generation: 2, State: InstanceFailed},
		status: "ERROR", vm: VMError, settled: true},
	{name: "pause asked for", intent: Intent{Generation: 2, Power: PowerOn, Paused: true}, node: "n1", built: true, seen: Observation{Generation: 1, State: InstanceRunning},
		status: "ACTIVE", vm: VMActive, task: TaskPausing, power: PowerRunning},
	{name: "unpause asked for", intent: Intent{Generation: 3, Power: PowerOn}, node: "n1", built: true, seen: Observation{Generation: 2, State: InstancePaused},
		status: "PAUSED", vm: VMPaused, task: TaskUnpausing, power: PowerPaused},
	{name: "rebuild asked for", intent: Intent{Generation: 2, Power: PowerOn, Disk: DiskIntent{1, 1, 1, DiskRebuild}}, node: "n1", built: true, seen: Observation{Generation: 1, State: InstanceRunning},
		status: "REBUILD", vm: VMActive, task: TaskRebuilding, power: PowerRunning},
	{name: "rebuild between two guests", intent: Intent{Generation: 2, Power: PowerOn, Disk: DiskIntent{1, 1, 1, DiskRebuild}}, node: "n1", built: true, seen: Observation{Generation: 1, State: InstancePreparing},
		status: "REBUILD", vm: VMActive, task: TaskRebuilding},
	{name: "rebuild of a stopped one", intent: Intent{Generation: 2, Power: PowerOff, Disk: DiskIntent{1, 1, 1, DiskRebuild}}, node: "n1", built: true, seen: Observation{Generation: 1, State: InstanceStopped},
		status: "REBUILD", vm: VMStopped, task: TaskRebuilding, power: PowerShutdown},
	{name: "rebuild failed", intent: Intent{Generation: 2, Power: PowerOn, Disk: DiskIntent{1, 1, 1, DiskRebuild}}, node: "n1", built: true, fault: true, seen: Observation{Generation: 2, State: InstanceFailed},
		status: "ERROR", vm: VMError, settled: true},
	{name: "rebuilt", intent: Intent{Generation: 2, Power: PowerOn, Disk: DiskIntent{1, 1, 1, DiskRebuild}}, node: "n1", built: true, seen: Observation{Generation: 2, Turn: 1, State: InstanceRunning},
		status: "ACTIVE", vm: VMActive, power: PowerRunning, settled: true},
	{name: "resize asked for", intent: Intent{Generation: 2, Power: PowerOn, Disk: DiskIntent{1, 0, 1, DiskResize}}, node: "n1", built: true, seen: Observation{Generation: 1, State: InstanceRunning},
		status: "RESIZE", vm: VMActive, task: TaskResizing, power: PowerRunning},
	{name: "resized", intent: Intent{Generation: 2, Power: PowerOn, Disk: DiskIntent{1, 0, 1, DiskResize}}, node: "n1", built: true, seen: Observation{Generation: 2, Turn: 1, State: InstanceRunning},
		status: "VERIFY_RESIZE", vm: VMResized, power: PowerRunning, settled: true},
	{name: "resized while off", intent: Intent{Generation: 3, Power: PowerOff, Disk: DiskIntent{1, 0, 1, DiskResize}}, node: "n1", built: true, seen: Observation{Generation: 3, Turn: 1, State: InstanceStopped},
		status: "VERIFY_RESIZE", vm: VMResized, power: PowerShutdown, settled: true},
	{name: "confirmed", intent: Intent{Generation: 3, Power: PowerOn, Disk: DiskIntent{1, 1, 1, DiskFirst}}, node: "n1", built: true, seen: Observation{Generation: 2, Turn: 1, State: InstanceRunning},
		status: "ACTIVE", vm: VMActive, power: PowerRunning, settled: true},
	{name: "revert asked for", intent: Intent{Generation: 3, Power: PowerOn, Disk: DiskIntent{0, 0, 1, DiskRevert}}, node: "n1", built: true, seen: Observation{Generation: 2, Turn: 1, State: InstanceRunning},
		status: "REVERT_RESIZE", vm: VMResized, task: TaskReverting, power: PowerRunning},
	{name: "reverted", intent: Intent{Generation: 3, Power: PowerOn, Disk: DiskIntent{0, 0, 1, DiskRevert}}, node: "n1", built: true, seen: Observation{Generation: 3, State: InstanceRunning},
		status: "ACTIVE", vm: VMActive, power: PowerRunning, settled: true},
	{name: "rescue asked for", intent: Intent{Generation: 2, Power: PowerOn, Disk: DiskIntent{1, 0, 1, DiskRescue}}, node: "n1", built: true, seen: Observation{Generation: 1, State: InstanceRunning},
		status: "ACTIVE", vm: VMActive, task: TaskRescuing, power: PowerRunning},
	{name: "rescued", intent: Intent{Generation: 2, Power: PowerOn, Disk: DiskIntent{1, 0, 1, DiskRescue}}, node: "n1", built: true, seen: Observation{Generation: 2, Turn: 1, State: InstanceRunning},
		status: "RESCUE", vm: VMRescued, power: PowerRunning, settled: true},
	{name: "unrescue asked for", intent: Intent{Generation: 3, Power: PowerOn, Disk: DiskIntent{0, 0, 1, DiskUnrescue}}, node: "n1", built: true, seen: Observation{Generation: 2, Turn: 1, State: InstanceRunning},
		status: "RESCUE", vm: VMRescued, task: TaskUnrescuing, power: PowerRunning},
	{name: "deleting", intent: Intent{Generation: 2, Power: PowerOn, Deleted: true}, node: "n1", built: true, seen: Observation{Generation: 1, State: InstanceRunning},
		status: "ACTIVE", vm: VMActive, task: TaskDeleting, power: PowerRunning},
	{name: "being removed", intent: Intent{Generation: 2, Power: PowerOn, Deleted: true}, node: "n1", built: true, seen: Observation{Generation: 1, State: InstanceRemoving},
		status: "ACTIVE", vm: VMActive, task: TaskDeleting},
	{name: "deleting a failed one", intent: Intent{Generation: 2, Power: PowerOn, Deleted: true}, fault: true,
		status: "ERROR", vm: VMError, task: TaskDeleting},
	{name: "deleting before it was built", intent: Intent{Generation: 2, Power: PowerOn, Deleted: true},
		status: "BUILD", vm: VMBuilding, task: TaskDeleting},
}

func server(i int) Server {
	c := states[i]
	s := Server{ID: "s1", Node: c.node, Intent: c.intent, Seen: c.seen}
	if c.built {
		s.LaunchedAt = &time.Time{}
	}
	if c.fault {
		s.Fault = &Fault{Code: 500}
	}
	return s
}

func TestServerStates(t *testing.T) {
	for i, c := range states {
		s := server(i)
		if s.Status() != c.status || s.VMState() != c.vm || s.TaskState() != c.task || s.PowerState() != c.power || s.Settled() != c.settled {
			t.Errorf("%s: %s, %s, task %q, power %d, settled %v; want %s, %s, %q, %d, %v", c.name,
				s.Status(), s.VMState(), s.TaskState(), s.PowerState(), s.Settled(), c.status, c.vm, c.task, c.power, c.settled)
		}
	}
}

func TestServerCheck(t *testing.T) {
	find := func(name string) Server {
		for i, c := range states {
			if c.name == name {
				return server(i)
			}
		}
		t.Fatalf("no state %q", name)
		return Server{}
	}
	for _, c := range []struct {
		state, action string
		tasks, vm     []string
		want          string // "" for allowed
	}{
		{"active", "stop", nil, []string{VMActive, VMError}, ""},
		{"stopped", "stop", nil, []string{VMActive, VMError}, "while it is in vm_state stopped"},
		{"stop asked for", "stop", nil, []string{VMActive, VMError}, "while it is in task_state powering-off"},
		{"deleting", "start", nil, []string{VMStopped}, "while it is in task_state deleting"},
		{"soft reboot asked for", "reboot", nil, []string{VMActive}, "while it is in task_state rebooting"},
		{"soft reboot asked for", "reboot", []string{TaskRebooting, TaskRebootHard}, []string{VMActive}, ""},
		{"shut down from inside", "start", nil, []string{VMStopped}, ""},
		{"no host fits", "reboot", nil, []string{VMActive, VMError}, "while it has never been active"},
		{"just created", "stop", nil, nil, "while it is in task_state scheduling"},
	} {
		err := find(c.state).CheckBusy("test", c.action, c.tasks, c.vm...)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s of %s: %v", c.action, c.state, err)
		case c.want != "" && (!Is(err, Conflict) || !strings.Contains(Message(err), c.want)):
			t.Errorf("%s of %s: %v, want %q", c.action, c.state, err, c.want)
		}
	}
}
