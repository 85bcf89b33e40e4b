package cloud

import "slices"

// VM states, task states and power states as nova's API shows them in
// OS-EXT-STS.
const (
	VMBuilding  = "building"
	VMActive    = "active"
	VMPaused    = "paused"
	VMStopped   = "stopped"
	VMSuspended = "suspended"
	VMError     = "error"
	VMResized   = "resized"
	VMRescued   = "rescued"
	VMDeleted   = "deleted"
	VMTrashed   = "soft-delete"

	TaskNone        = ""
	TaskScheduling  = "scheduling"
	TaskNetworking  = "networking"
	TaskSpawning    = "spawning"
	TaskPoweringOff = "powering-off"
	TaskPoweringOn  = "powering-on"
	TaskRebooting   = "rebooting"
	TaskRebootHard  = "rebooting_hard"
	TaskDeleting    = "deleting"
	TaskTrashing    = "soft-deleting"
	TaskToVolume    = "root_to_volume" // ours: nova has no such thing
	TaskReplaceRoot = "replacing_root" // ours too
	TaskPausing     = "pausing"
	TaskUnpausing   = "unpausing"
	TaskSuspending  = "suspending"
	TaskResuming    = "resuming"
	TaskRebuilding  = "rebuilding"
	TaskResizing    = "resize_migrating"
	TaskReverting   = "resize_reverting"
	TaskRescuing    = "rescuing"
	TaskUnrescuing  = "unrescuing"
	TaskSnapshot    = "image_snapshot"
	TaskUploading   = "image_uploading"

	PowerNoState  = 0
	PowerRunning  = 1
	PowerPaused   = 3
	PowerShutdown = 4
)

// built tells whether the server has once been built whole.
func (s *Server) built() bool { return s.LaunchedAt != nil }

// StatusTrashed is the status of a deleted server that is kept for a while.
const StatusTrashed = "SOFT_DELETED"

// trashTask is what is under way with a server in the trash: its guest is to end.
func (s *Server) trashTask() string {
	if s.Node != "" && s.Seen.State != InstanceStopped && s.Seen.State != InstanceAbsent && s.Seen.State != InstanceFailed {
		return TaskTrashing
	}
	return TaskNone
}

// rebooting tells whether a reboot that was asked for is not yet seen. A later
// stop overtakes it: a server that is to be off has no reboot pending.
func (s *Server) rebooting() bool {
	return s.Intent.Power == PowerOn && s.Seen.Reboots < s.Intent.Reboots
}

// answered tells whether the node has carried out the newest intent.
func (s *Server) answered() bool { return s.Seen.Generation >= s.Intent.Generation }

// turning tells whether it is on its way to another root disk.
func (s *Server) turning() bool { return s.Seen.Turn != s.Intent.Disk.Turn }

// diskTasks are the tasks of the ways to another root disk.
var diskTasks = map[DiskReason]string{
	DiskRebuild: TaskRebuilding, DiskResize: TaskResizing, DiskRevert: TaskReverting, DiskRescue: TaskRescuing, DiskUnrescue: TaskUnrescuing,
	DiskToVolume: TaskToVolume, DiskReplace: TaskReplaceRoot,
}

// diskState is the VM state that its root disk makes it have; "" for none.
func (s *Server) diskState() string {
	switch why := s.Intent.Disk.Why; {
	case why == DiskResize && !s.turning(), why == DiskRevert && s.turning():
		return VMResized
	case why == DiskRescue && !s.turning(), why == DiskUnrescue && s.turning():
		return VMRescued
	}
	return ""
}

// VMState is the state the server rests in, or comes from while a task is under
// way.
func (s Server) VMState() string { return s.vmState() }

func (s *Server) vmState() string {
	switch {
	case s.DeletedAt != nil:
		return VMDeleted
	case s.Trash != nil:
		return VMTrashed
	case s.Marked:
		return VMError
	case s.shelfState() != "":
		return s.shelfState()
	case s.Fault != nil && s.Seen.State != InstanceRunning && s.Seen.State != InstancePaused:
		return VMError
	case !s.built():
		return VMBuilding
	case s.diskState() != "":
		return s.diskState()
	case s.Seen.State == InstanceRunning:
		return VMActive
	case s.Seen.State == InstancePaused:
		return VMPaused
	case s.Seen.State == InstanceSuspended, s.resuming():
		return VMSuspended
	case s.Seen.State == InstanceStopped:
		return VMStopped
	case s.Intent.Power == PowerOn && (s.rebooting() || s.turning() || s.answered() || s.Intent.Deleted):
		return VMActive // between two guests: in a reboot, after a crash of its host, or on its way out
	}
	return VMStopped
}

// TaskState is what is under way; "" when nothing is.
func (s Server) TaskState() string { return s.taskState() }

func (s *Server) taskState() string {
	switch {
	case s.DeletedAt != nil:
		return TaskNone
	case s.Intent.Deleted:
		return TaskDeleting
	case s.Trash != nil:
		return s.trashTask()
	case s.vmState() == VMError:
		return TaskNone
	case !s.built() && s.Node == "":
		return TaskScheduling
	case !s.built():
		return TaskSpawning
	case s.Shelf != nil:
		return s.shelfTask()
	case s.ToVolume != nil:
		return TaskToVolume
	case s.turning():
		return diskTasks[s.Intent.Disk.Why]
	case s.rebooting() && s.Intent.HardReboot:
		return TaskRebootHard
	case s.rebooting():
		return TaskRebooting
	case s.Intent.Suspended && s.Seen.State != InstanceSuspended && !s.answered():
		return TaskSuspending
	case !s.Intent.Suspended && s.Intent.Power == PowerOn && (s.Seen.State == InstanceSuspended || s.resuming()):
		return TaskResuming
	case s.Intent.Power == PowerOff && s.Seen.State != InstanceStopped:
		return TaskPoweringOff
	case s.Intent.Power == PowerOn && s.poweringOn():
		return TaskPoweringOn
	case s.Intent.Paused && s.Seen.State == InstanceRunning && !s.answered():
		return TaskPausing
	case !s.Intent.Paused && s.Seen.State == InstancePaused && !s.answered():
		return TaskUnpausing
	case len(s.Snapshots) > 0 && slices.Contains(s.Seen.Snapshots, s.Snapshots[0]):
		return TaskUploading
	case len(s.Snapshots) > 0:
		return TaskSnapshot
	}
	return TaskNone
}

// resuming tells whether its guest is being started with the memory that was
// saved.
func (s *Server) resuming() bool { return s.Seen.State == InstancePreparing && s.Seen.Resumes }

// poweringOn tells whether a guest that is wanted is not there yet. A guest that
// stopped after its node had started it shut itself down: nobody powers it on.
func (s *Server) poweringOn() bool {
	switch s.Seen.State {
	case InstanceRunning, InstancePaused, InstanceSuspended:
		return false
	case InstanceStopped:
		return !s.answered()
	}
	return true
}

// PowerState is nova's number for what the hypervisor reports.
func (s Server) PowerState() int {
	switch s.Seen.State {
	case InstanceRunning:
		return PowerRunning
	case InstancePaused:
		return PowerPaused
	case InstanceStopped, InstanceSuspended: // as libvirt sees a guest that was saved
		return PowerShutdown
	}
	return PowerNoState
}

// Status is the word that clients wait for, computed from the VM state and the
// task (nova/api/openstack/common.py, _STATE_MAP).
func (s Server) Status() string { return s.status() }

func (s *Server) status() string {
	task := s.taskState()
	switch s.vmState() {
	case VMDeleted:
		return StatusGone
	case VMTrashed:
		return StatusTrashed
	case VMBuilding:
		return "BUILD"
	case VMError:
		return "ERROR"
	case VMRescued:
		return "RESCUE"
	case VMResized:
		if task == TaskReverting {
			return "REVERT_RESIZE"
		}
		return "VERIFY_RESIZE"
	}
	switch task {
	case TaskRebuilding:
		return "REBUILD"
	case TaskResizing:
		return "RESIZE"
	}
	switch s.vmState() {
	case VMPaused:
		return "PAUSED"
	case VMSuspended:
		return "SUSPENDED"
	case VMShelved:
		return "SHELVED"
	case VMOffloaded:
		return "SHELVED_OFFLOADED"
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
func (s Server) Settled() bool { return s.taskState() == TaskNone && !s.Intent.Deleted }

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
// words: a server that is being deleted, one with a task under way, one that
// never ran, one in another VM state than those allowed. No states allowed are
// all states. The lock is not the state's affair, nor is a delete, which every
// state allows.
func (s Server) Check(op, action string, allowed ...string) error {
	return s.CheckBusy(op, action, nil, allowed...)
}

// CheckBusy is Check for an action that some tasks do not hinder: a hard reboot
// during another reboot.
func (s Server) CheckBusy(op, action string, tasks []string, allowed ...string) error {
	task, state := s.taskState(), s.vmState()
	switch {
	case task != TaskNone && !slices.Contains(tasks, task):
		return E(op, Conflict, "Cannot '%s' instance %s while it is in task_state %s", action, s.ID, task)
	case len(allowed) > 0 && !slices.Contains(allowed, state):
		return E(op, Conflict, "Cannot '%s' instance %s while it is in vm_state %s", action, s.ID, state)
	case !s.built():
		return E(op, Conflict, "Cannot '%s' instance %s while it has never been active", action, s.ID)
	}
	return nil
}
