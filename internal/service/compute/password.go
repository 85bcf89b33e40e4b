package compute

import (
	"cmp"
	"context"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// GuestPassword is the password that a server's guest has posted, encrypted, to
// its metadata service; "" for none. The server's node keeps it; of one that left its
// node, the server does.
func (s *Service) GuestPassword(ctx context.Context, c cloud.Caller, id string) (string, error) {
	d, err := s.Server(ctx, c, id)
	if err != nil || d.Node == "" {
		return d.Posted, err
	}
	password, err := s.consoles.Password(ctx, d.Node, id)
	if cloud.Is(err, cloud.NotFound) { // not there yet, or no longer
		err = nil
	}
	return cmp.Or(password, d.Posted), err
}

// ClearGuestPassword drops it; the guest may then post another.
func (s *Service) ClearGuestPassword(ctx context.Context, c cloud.Caller, id string) error {
	d, err := s.change(ctx, "compute.ClearGuestPassword", Actor{Caller: c}, id, "", func(_ *store.Tx, v *cloud.Server) error {
		v.Posted = ""
		return nil
	})
	if err != nil || d.Node == "" {
		return err
	}
	if err := s.consoles.ForgetPassword(ctx, d.Node, id); err != nil && !cloud.Is(err, cloud.NotFound) {
		return err
	}
	return nil
}
