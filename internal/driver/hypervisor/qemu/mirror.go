package qemu

import (
	"context"
	"errors"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// mirrorPrefix begins the names of the jobs that copy disks; the id of the disk that is copied to follows.
const mirrorPrefix = "mirror-"

// States of QEMU's jobs (JobStatus of its QMP reference).
const (
	jobReady     = "ready"
	jobConcluded = "concluded"
)

// job is what query-jobs tells of one.
type job struct {
	ID     string `json:"id"`
	Status string `json:"status"`
	Error  string `json:"error"`
}

// mirror finds the job that copies to a disk; nil for none.
func (g *guest) mirror(ctx context.Context, op, to string) (*job, error) {
	var all []job
	if err := g.ask(ctx, op, nil, "query-jobs", nil, &all); err != nil {
		return nil, err
	}
	for _, j := range all {
		if j.ID == mirrorPrefix+to {
			return &j, nil
		}
	}
	return nil, nil
}

// MirrorDisk implements hypervisor.Guest. The job writes to both disks before it tells the guest that a write is done, so
// that from the moment at which they are alike they stay so, whenever the guest may end.
func (g *guest) MirrorDisk(ctx context.Context, id string, to hypervisor.Disk) (alike bool, err error) {
	const op = "hypervisor.MirrorDisk"
	if err := to.Validate(); err != nil {
		return false, err
	}
	on, err := g.diskDevices(ctx, op)
	switch {
	case err != nil:
		return false, err
	case on[to.ID] != "":
		return true, nil
	case on[id] == "":
		return false, cloud.E(op, cloud.NotFound, "guest %s has no disk %s", g.handle.ID, id)
	}
	j, err := g.mirror(ctx, op, to.ID)
	switch {
	case err != nil:
		return false, err
	case j == nil:
		return false, g.beginMirror(ctx, op, id, to)
	case j.Status == jobConcluded: // and the guest is not on the other disk
		return false, g.mirrorFailed(ctx, op, to.ID, *j)
	}
	return j.Status != "created" && j.Status != "running" && j.Status != "paused", nil
}

func (g *guest) beginMirror(ctx context.Context, op, id string, to hypervisor.Disk) error {
	nodes, err := g.blockNodes(ctx, op)
	if err != nil {
		return err
	}
	if _, half := nodes[blockName(to.ID)]; !half {
		to.ReadOnly = false // to the guest it is what the disk was that it takes the place of
		err = g.addBlock(ctx, op, to)
	}
	if err == nil {
		err = g.ask(ctx, op, nil, "blockdev-mirror", map[string]any{
			"job-id": mirrorPrefix + to.ID, "device": blockName(id), "target": blockName(to.ID), "sync": "full",
			"copy-mode": "write-blocking", "auto-dismiss": false,
		}, nil)
	}
	if err != nil {
		return errors.Join(err, g.dropBlock(ctx, op, to.ID))
	}
	return nil
}

// mirrorFailed tidies up after a job that ended without a switch, and says why.
func (g *guest) mirrorFailed(ctx context.Context, op, to string, j job) error {
	if err := g.dismiss(ctx, op, j); err != nil {
		return err
	}
	why := j.Error
	if why == "" {
		why = "it was cancelled"
	}
	return errors.Join(cloud.E(op, cloud.Conflict, "guest %s: the copying of a disk to %s failed: %s", g.handle.ID, to, why), g.dropBlock(ctx, op, to))
}

func (g *guest) dismiss(ctx context.Context, op string, j job) error {
	return g.ask(ctx, op, nil, "job-dismiss", map[string]any{"id": j.ID}, nil)
}

// SwitchDisk implements hypervisor.Guest.
func (g *guest) SwitchDisk(ctx context.Context, id, to string) (done bool, err error) {
	const op = "hypervisor.SwitchDisk"
	on, err := g.diskDevices(ctx, op)
	if err != nil {
		return false, err
	}
	j, err := g.mirror(ctx, op, to)
	switch {
	case err != nil:
		return false, err
	case on[to] != "" && j != nil && j.Status != jobConcluded: // it is all but over
		return false, nil
	case on[to] != "":
		if j != nil {
			if err := g.dismiss(ctx, op, *j); err != nil {
				return false, err
			}
		}
		err := g.dropBlock(ctx, op, id)
		return err == nil, err
	case j == nil:
		return false, cloud.E(op, cloud.Conflict, "guest %s: the disk %s is not being copied to %s", g.handle.ID, id, to)
	case j.Status == jobConcluded:
		return false, g.mirrorFailed(ctx, op, to, *j)
	case j.Status == jobReady:
		return false, g.ask(ctx, op, nil, "job-complete", map[string]any{"id": j.ID}, nil)
	case j.Status == "waiting" || j.Status == "pending":
		return false, nil
	}
	return false, cloud.E(op, cloud.Conflict, "guest %s: the disks %s and %s are not alike yet", g.handle.ID, id, to)
}
