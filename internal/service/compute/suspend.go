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

// SetPassword changes the password of the guest's administrator, by the agent in
// the guest. The password is kept nowhere. Conflict when the server's image does not
// promise an agent, or the agent refuses; Unsupported when none answers.
func (s *Service) SetPassword(ctx context.Context, a Actor, id, password string) error {
	const op = "compute.SetPassword"
	v, err := s.change(ctx, op, a, id, "changePassword", func(_ *store.Tx, v *cloud.Server) error {
		if err := unlocked(op, a.Caller, *v); err != nil {
			return err
		}
		if err := v.Check(op, "changePassword", cloud.VMActive); err != nil {
			return err
		}
		if !v.GuestAgent() {
			return cloud.E(op, cloud.Conflict, "Failed to set admin password on %s because error setting admin password: QEMU guest agent is not enabled", id)
		}
		return nil
	})
	if err != nil {
		return err
	}
	user := v.ImageProperties["os_admin_user"]
	switch {
	case user == "" && v.ImageProperties["os_type"] == "windows":
		user = "Administrator"
	case user == "":
		user = "root"
	}
	err = s.consoles.SetPassword(ctx, v.Node, id, user, password)
	switch cloud.KindOf(err) {
	case cloud.Unsupported:
		return cloud.E(op, cloud.Unsupported, "Unable to set password on instance %s: the agent in the guest does not answer, or sets no passwords", id)
	case cloud.NotFound, cloud.Conflict:
		return cloud.E(op, cloud.Conflict, "Failed to set admin password on %s because error setting admin password: %s", id, cloud.Message(err))
	}
	return err
}
