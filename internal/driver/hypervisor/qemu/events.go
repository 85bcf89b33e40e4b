package qemu

import (
	"encoding/json"
	"strings"

	"hearth/internal/driver/hypervisor"
	"hearth/internal/driver/hypervisor/qmp"
)

// translate turns QEMU's event into ours; false for those that nobody here needs.
func translate(e qmp.Event) (hypervisor.Event, bool) {
	kind, ok := map[string]hypervisor.EventKind{
		"SHUTDOWN":       hypervisor.EventShutdown,
		"RESET":          hypervisor.EventReset,
		"POWERDOWN":      hypervisor.EventPowerdown,
		"STOP":           hypervisor.EventPaused,
		"RESUME":         hypervisor.EventResumed,
		"GUEST_PANICKED": hypervisor.EventPanicked,
		"BLOCK_IO_ERROR": hypervisor.EventIOError,
		"DEVICE_DELETED": hypervisor.EventUnplugged,

		"JOB_STATUS_CHANGE": hypervisor.EventMirrored,
	}[e.Name]
	if !ok {
		return hypervisor.Event{}, false
	}
	var data struct {
		Reason string `json:"reason"`
		Node   string `json:"node-name"`
		Device string `json:"device"`
		ID     string `json:"id"`
		Status string `json:"status"`
	}
	// Without data, or with data of another shape, the reason stays unknown: the event itself is what counts.
	_ = json.Unmarshal(e.Data, &data)
	switch kind {
	case hypervisor.EventIOError:
		data.Reason = data.Node + ": " + data.Reason
	case hypervisor.EventMirrored:
		disk, ours := strings.CutPrefix(data.ID, mirrorPrefix)
		if data.Reason = disk; !ours || data.Status != jobReady && data.Status != jobConcluded {
			return hypervisor.Event{}, false
		}
	case hypervisor.EventUnplugged:
		data.Reason = data.Device
		if data.Device == "" { // a part of a device, such as the virtio device on its PCI card
			return hypervisor.Event{}, false
		}
	}
	return hypervisor.Event{Kind: kind, Reason: data.Reason, Time: e.Time}, true
}

// stateOf turns QEMU's run state (RunState in its QMP reference) into ours.
func stateOf(status string) hypervisor.State {
	switch status {
	case "running":
		return hypervisor.StateRunning
	case "shutdown":
		return hypervisor.StateShutdown
	case "internal-error", "guest-panicked", "watchdog":
		return hypervisor.StateCrashed
	case "io-error":
		return hypervisor.StateIOError
	case "suspended":
		return hypervisor.StateAsleep
	}
	return hypervisor.StatePaused
}
