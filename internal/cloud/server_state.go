package cloud

// VM states, task states and power states as nova's API shows them in
// OS-EXT-STS.
const (
	VMBuilding = "building"
	VMActive   = "active"
	VMPaused   = "paused"
	VMStopped  = "stopped"
	VMError    = "error"
	VMDeleted  = "deleted"

	TaskNone        = ""
	TaskScheduling  = "scheduling"
	TaskNetworking  = "networking"
	TaskSpawning    = "spawning"
	TaskPoweringOff = "powering-off"
	TaskPoweringOn  = "powering-on"
	TaskRebooting   = "rebooting"
	TaskRebootHard  = "rebooting_hard"
	TaskDeleting    = "deleting"

	PowerNoState  = 0
	PowerRunning  = 1
	PowerPaused   = 3
	PowerShutdown = 4
)

// built tells whether the server has once been built whole.
func (s Server) built() bool { return s.LaunchedAt != nil }

// VMState is the state the server rests in, or comes from while a task is under
// way.
func (s Server) VMState() string {
	switch {
	case s.Fault != nil && s.Seen.State != InstanceRunning && s.Seen.State != InstancePaused:
		return VMError
	case !s.built():
		return VMBuilding
	case s.Seen.State == InstanceRunning:
		return VMActive
	case s.Seen.State == InstancePaused:
		return VMPaused
	case s.Seen.State == InstancePreparing && s.Intent.Power == PowerOn && s.Seen.Generation == s.Intent.Generation:
		return VMActive
	default:
		return VMStopped
	}
}

// TaskState is what is under way; "" when nothing is.
func (s Server) TaskState() string {
	switch {
	case s.Intent.Deleted:
		return TaskDeleting
	case s.VMState() == VMError:
		return TaskNone
	case !s.built() && s.Node == "":
		return TaskScheduling
	case !s.built():
		return TaskSpawning
	case s.Seen.Reboots < s.Intent.Reboots && s.Intent.HardReboot:
		return TaskRebootHard
	case s.Seen.Reboots < s.Intent.Reboots:
		return TaskRebooting
	case s.Intent.Power == PowerOff && s.Seen.State != InstanceStopped:
		return TaskPoweringOff
	case s.Intent.Power == PowerOn && s.Seen.State != InstanceRunning && s.Seen.State != InstancePaused:
		return TaskPoweringOn
	}
	return TaskNone
}

// PowerState is nova's number for what the hypervisor reports.
func (s Server) PowerState() int {
	switch s.Seen.State {
	case InstanceRunning:
		return PowerRunning
	case InstancePaused:
		return PowerPaused
	case InstanceStopped:
		return PowerShutdown
	}
	return PowerNoState
}

// Status is the word that clients wait for, computed from the VM state and the
// task (nova/api/openstack/common.py, _STATE_MAP).
func (s Server) Status() string {
	task := s.TaskState()
	switch s.VMState() {
	case VMBuilding:
		return "BUILD"
	case VMError:
		return "ERROR"
	case VMPaused:
		return "PAUSED"
	case VMStopped:
		return "SHUTOFF"
	}
	switch task {
	case TaskRebooting:
		return "REBOOT"
	case TaskRebootHard:
		return "HARD_REBOOT"
	}
	return "ACTIVE"
}

// Settled tells whether what is wanted has been carried out, or has failed for
// good: the housekeeper has nothing to do.
func (s Server) Settled() bool { return s.TaskState() == TaskNone && !s.Intent.Deleted }

// Progress is the share of the start that is done, in per cent.
func (s Server) Progress() int {
	if s.built() {
		return 0
	}
	switch {
	case s.Node == "":
		return 0
	case s.Seen.Step == "":
		return 10
	}
	return min(90, 20+10*len(s.Steps))
}

// Check refuses an action that the server's state does not allow, in nova's
// words: a locked server, one with a task under way, one in another state.
func (s Server) Check(op, action string, allowed ...string) error {
	if s.Intent.Deleted {
		return E(op, Conflict, "Cannot '%s' instance %s while it is in task_state deleting", action, s.ID)
	}
	if task := s.TaskState(); task != TaskNone && action != "delete" {
		if !(action == "reboot" && task == TaskRebooting) {
			return E(op, Conflict, "Cannot '%s' instance %s while it is in task_state %s", action, s.ID, task)
		}
	}
	state := s.VMState()
	for _, a := range allowed {
		if a == state {
			return nil
		}
	}
	if len(allowed) == 0 {
		return nil
	}
	return E(op, Conflict, "Cannot '%s' instance %s while it is in vm_state %s", action, s.ID, state)
}
