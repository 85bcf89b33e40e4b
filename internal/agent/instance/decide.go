package instance

import "hearth/internal/cloud"

// action is what a worker does next.
type action string

const (
	doNothing   action = "nothing"
	doStart     action = "start"
	doStop      action = "stop" // for good, or as the first half of a reboot
	doUndo      action = "undo" // a start that failed for good
	doRemove    action = "remove"
	doPause     action = "pause"
	doResume    action = "resume"
	doTidy      action = "tidy" // disks that are given up go
	doCopy      action = "copy" // the root disk, for images
	doSuspend   action = "suspend"
	doInterrupt action = "interrupt" // the guest, that it dumps its memory
	doForget    action = "forget"    // the memory of a suspended guest
)

// next decides from what is wanted and what is there. running is whether there
// is a guest, paused or not.
func next(in cloud.Intent, rec record, running bool) action {
	switch {
	case in.Deleted:
		return doRemove
	case rec.Failing != "":
		return doUndo
	case running && rec.State == cloud.InstancePreparing: // found again in the middle of its start
		return doStart
	case running && wantedGone(in, rec):
		return doStop
	case running && in.Suspended:
		return doSuspend
	case running && in.Paused && rec.State == cloud.InstanceRunning && rec.Switched != in.Generation:
		return doPause
	case running && !in.Paused && rec.State == cloud.InstancePaused && rec.Generation < in.Generation && rec.Switched != in.Generation:
		return doResume
	case running && rec.NMIs < in.NMIs:
		return doInterrupt
	case rec.Turn == in.Disk.Turn && rec.Disk != in.Disk:
		return doTidy
	case running:
		return doNothing
	case rec.Saved && wantedGone(in, rec):
		return doForget
	case rec.Saved && in.Suspended:
		return doNothing
	case rec.State == cloud.InstanceFailed && rec.Generation >= in.Generation:
		return doNothing // until the head wants something else
	case in.Power == cloud.PowerOff && rec.Turn == in.Disk.Turn:
		return doNothing
	case rec.Halted == in.Generation && !wantedGone(in, rec):
		return doNothing // it ended by itself, and nobody has asked for it since
	}
	return doStart
}

// wantedGone tells whether the end of a guest is what was asked for, rather
// than its own doing.
func wantedGone(in cloud.Intent, rec record) bool {
	return in.Deleted || in.Power == cloud.PowerOff || rec.Reboots < in.Reboots || rec.Turn != in.Disk.Turn
}
