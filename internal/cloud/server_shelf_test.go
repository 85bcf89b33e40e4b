package cloud

import (
	"testing"
	"time"
)

// TestShelfAndSuspend holds the states of servers that are put away, as nova's API
// shows them.
func TestShelfAndSuspend(t *testing.T) {
	at := time.Unix(1, 0)
	off, on := Intent{Generation: 2, Power: PowerOff, Shelved: true}, Intent{Generation: 3, Power: PowerOn}
	leaving := off
	leaving.Offload = true
	sleep := Intent{Generation: 2, Power: PowerOn, Suspended: true}
	image := func(since *time.Time, offloaded bool) *Shelf {
		return &Shelf{Image: ImageRef{ID: "i"}, Since: since, Offloaded: offloaded}
	}
	for _, c := range []struct {
		name             string
		intent           Intent
		seen             Observation
		node             string
		shelf            *Shelf
		snapshots        []string
		fault            bool
		status, vm, task string
	}{
		{"shelve asked for", off, Observation{Generation: 1, State: InstanceRunning}, "n", image(nil, false), []string{"i"}, false, "ACTIVE", VMActive, TaskShelving},
		{"its disk is copied", off, Observation{Generation: 2, State: InstanceStopped}, "n", image(nil, false), []string{"i"}, false, "SHUTOFF", VMStopped, TaskShelvePending},
		{"its image is fetched", off, Observation{Generation: 2, State: InstanceStopped, Snapshots: []string{"i"}}, "n", image(nil, false), []string{"i"}, false, "SHUTOFF", VMStopped, TaskShelveUpload},
		{"shelved", off, Observation{Generation: 2, State: InstanceStopped}, "n", image(&at, false), nil, false, "SHELVED", VMShelved, TaskNone},
		{"leaving its host", leaving, Observation{Generation: 2, State: InstanceRemoving}, "n", image(&at, false), nil, false, "SHELVED", VMShelved, TaskOffloading},
		{"offloaded", leaving, Observation{}, "", image(&at, true), nil, false, "SHELVED_OFFLOADED", VMOffloaded, TaskNone},
		{"offloaded, after a try that failed", leaving, Observation{}, "", image(&at, true), nil, true, "SHELVED_OFFLOADED", VMOffloaded, TaskNone},
		{"unshelve asked for", on, Observation{}, "", image(&at, true), nil, false, "SHELVED_OFFLOADED", VMOffloaded, TaskUnshelving},
		{"being made anew", on, Observation{State: InstancePreparing}, "n", image(&at, true), nil, false, "SHELVED_OFFLOADED", VMOffloaded, TaskUnshelving},
		{"unshelve of one on its host", on, Observation{Generation: 2, State: InstanceStopped}, "n", image(&at, false), nil, false, "SHELVED", VMShelved, TaskUnshelving},
		{"suspend asked for", sleep, Observation{Generation: 1, State: InstanceRunning}, "n", nil, nil, false, "ACTIVE", VMActive, TaskSuspending},
		{"suspended", sleep, Observation{Generation: 2, State: InstanceSuspended}, "n", nil, nil, false, "SUSPENDED", VMSuspended, TaskNone},
		{"resume asked for", on, Observation{Generation: 2, State: InstanceSuspended}, "n", nil, nil, false, "SUSPENDED", VMSuspended, TaskResuming},
		{"its memory is read", on, Observation{Generation: 2, State: InstancePreparing, Resumes: true}, "n", nil, nil, false, "SUSPENDED", VMSuspended, TaskResuming},
		{"resumed", on, Observation{Generation: 3, State: InstanceRunning}, "n", nil, nil, false, "ACTIVE", VMActive, TaskNone},
	} {
		s := Server{ID: "s", Intent: c.intent, Seen: c.seen, Node: c.node, Shelf: c.shelf, Snapshots: c.snapshots, LaunchedAt: &at}
		if c.fault {
			s.Fault = &Fault{Code: FaultInternal}
		}
		if s.Status() != c.status || s.VMState() != c.vm || s.TaskState() != c.task {
			t.Errorf("%s: %s %s %q, want %s %s %q", c.name, s.Status(), s.VMState(), s.TaskState(), c.status, c.vm, c.task)
		}
	}
}
