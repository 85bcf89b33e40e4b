package compute

import (
	"context"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Suspend writes the guest's memory to its host's disk and ends it.
func (s *Service) Suspend(ctx context.Context, a Actor, id string) error {
	_, err := s.act(ctx, "compute.Suspend", a, id, "suspend", []string{cloud.VMActive}, func(_ *store.Tx, v *cloud.Server) error {
		v.Intent.Suspended, v.Intent.Paused = true, false
		return nil
	})
	return err
}

// Resume has a suspended guest go on.
func (s *Service) Resume(ctx context.Context, a Actor, id string) error {
	_, err := s.act(ctx, "compute.Resume", a, id, "resume", []string{cloud.VMSuspended}, func(_ *store.Tx, v *cloud.Server) error {
		v.Intent.Suspended, v.Intent.Power = false, cloud.PowerOn
		return nil
	})
	return err
}

// CrashDump sends the guest a non-maskable interrupt, at which its kernel writes
// a dump if it is set up to.
func (s *Service) CrashDump(ctx context.Context, a Actor, id string) error {
	const op = "compute.CrashDump"
	states := []string{cloud.VMActive, cloud.VMPaused, cloud.VMRescued, cloud.VMResized, cloud.VMError}
	_, err := s.act(ctx, op, a, id, "trigger_crash_dump", states, func(_ *store.Tx, v *cloud.Server) error {
		v.Intent.NMIs++
		return nil
	})
	return err
}

// SetPassword would change the password of the guest's administrator. That takes
// an agent in the guest that listens to its host, and guests here have none.
func (s *Service) SetPassword(ctx context.Context, a Actor, id string) error {
	const op = "compute.SetPassword"
	d, err := s.Server(ctx, a.Caller, id)
	if err != nil {
		return err
	}
	if err := unlocked(op, a.Caller, d.Server); err != nil {
		return err
	}
	if err := d.Check(op, "changePassword", cloud.VMActive); err != nil {
		return err
	}
	return cloud.E(op, cloud.Conflict, "Failed to set admin password on %s because error setting admin password: QEMU guest agent is not enabled", id)
}
