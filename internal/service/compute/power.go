package compute

import (
	"context"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// power changes the wanted power of a server that its state and its lock allow.
func (s *Service) power(ctx context.Context, op string, a Actor, id, action string, check func(cloud.Server) error, set func(*cloud.Intent)) error {
	_, err := s.change(ctx, op, a, id, action, func(_ *store.Tx, v *cloud.Server) error {
		if err := unlocked(op, a.Caller, *v); err != nil {
			return err
		}
		if err := check(*v); err != nil {
			return err
		}
		set(&v.Intent)
		v.Fault, v.Marked = nil, false // a new try: what comes of it is seen afresh
		s.want(v)
		return nil
	})
	return err
}

// Start powers a stopped server on.
func (s *Service) Start(ctx context.Context, a Actor, id string) error {
	const op = "compute.Start"
	return s.power(ctx, op, a, id, "start", func(v cloud.Server) error {
		return v.Check(op, "start", cloud.VMStopped)
	}, func(i *cloud.Intent) { i.Power = cloud.PowerOn })
}

// Stop powers a server off.
func (s *Service) Stop(ctx context.Context, a Actor, id string) error {
	const op = "compute.Stop"
	return s.power(ctx, op, a, id, "stop", func(v cloud.Server) error {
		return v.Check(op, "stop", cloud.VMActive, cloud.VMError)
	}, func(i *cloud.Intent) { i.Power, i.Paused, i.Suspended = cloud.PowerOff, false, false })
}

// Reboot reboots a server: softly by its power button, or hard by a new guest on
// the same disk. A hard one also mends a stopped or failed server, and overtakes
// a soft one that the guest does not follow.
func (s *Service) Reboot(ctx context.Context, a Actor, id string, hard bool) error {
	const op = "compute.Reboot"
	return s.power(ctx, op, a, id, "reboot", func(v cloud.Server) error {
		if hard {
			return v.CheckBusy(op, "reboot", []string{cloud.TaskRebooting, cloud.TaskRebootHard},
				cloud.VMActive, cloud.VMStopped, cloud.VMPaused, cloud.VMSuspended, cloud.VMError)
		}
		return v.Check(op, "reboot", cloud.VMActive)
	}, func(i *cloud.Intent) {
		i.Power, i.HardReboot, i.Paused, i.Suspended = cloud.PowerOn, hard, false, false
		i.Reboots++
	})
}

// Lock keeps everybody but admins from changing the server.
func (s *Service) Lock(ctx context.Context, a Actor, id, reason string) error {
	_, err := s.change(ctx, "compute.Lock", a, id, "lock", func(_ *store.Tx, v *cloud.Server) error {
		v.Locked, v.LockedReason = true, reason
		return nil
	})
	return err
}

// Unlock takes the lock off.
func (s *Service) Unlock(ctx context.Context, a Actor, id string) error {
	_, err := s.change(ctx, "compute.Unlock", a, id, "unlock", func(_ *store.Tx, v *cloud.Server) error {
		v.Locked, v.LockedReason = false, ""
		return nil
	})
	return err
}

// Console gives the last lines of a server's serial log; lines < 0 is all that
// is kept.
func (s *Service) Console(ctx context.Context, c cloud.Caller, id string, lines int) (string, error) {
	const op = "compute.Console"
	d, err := s.Server(ctx, c, id)
	if err != nil {
		return "", err
	}
	if d.Node == "" {
		return "", cloud.E(op, cloud.Conflict, "Instance %s is not ready", id)
	}
	// A line of a terminal is rarely longer than this; more of the log than is
	// wanted is cut off below.
	const lineBytes = 512
	bytes := 0
	if lines > 0 {
		bytes = min(lines, 1<<20) * lineBytes
	}
	log, err := s.consoles.Console(ctx, d.Node, id, bytes)
	if cloud.Is(err, cloud.NotFound) {
		return "", nil // the guest has written nothing yet
	}
	if err != nil {
		return "", err
	}
	return lastLines(string(log), lines), nil
}
