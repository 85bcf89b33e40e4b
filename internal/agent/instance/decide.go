package instance

import "hearth/internal/cloud"

// action is what a worker does next.
type action string

const (
	doNothing action = "nothing"
	doStart   action = "start"
	doStop    action = "stop" // for good, or as the first half of a reboot
	doUndo    action = "undo" // a start that failed for good
	doRemove  action = "remove"
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
	case running && (in.Power == cloud.PowerOff || rec.Reboots < in.Reboots):
		return doStop
	case running, in.Power == cloud.PowerOff:
		return doNothing
	case rec.State == cloud.InstanceFailed && rec.Generation >= in.Generation:
		return doNothing // until the head wants something else
	case rec.Halted == in.Generation && rec.Reboots >= in.Reboots:
		return doNothing // it ended by itself, and nobody has asked for it since
	}
	return doStart
}

// wantedGone tells whether the end of a guest is what was asked for, rather
// than its own doing.
func wantedGone(in cloud.Intent, rec record) bool {
	return in.Deleted || in.Power == cloud.PowerOff || rec.Reboots < in.Reboots
}
