package compute

import (
	"context"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Protected is the property of a server that keeps it from being deleted and from
// being rebuilt, by anybody, for as long as it is "true". It is a property so that
// every client can set, see and take it away.
const Protected = "hearth_protected"

// unprotected refuses what would destroy a protected server.
func unprotected(op string, v cloud.Server) error {
	if v.Metadata[Protected] == "true" {
		return cloud.E(op, cloud.Conflict, "Instance %s is protected: take its property %s away first ('hearth server unprotect')", v.ID, Protected)
	}
	return nil
}

// DeleteServer asks for the server's end: at once, or, where the operator keeps
// deleted servers for a while, by way of the trash. It can be repeated. A locked or
// protected server stays.
func (s *Service) DeleteServer(ctx context.Context, a Actor, id string) error {
	return s.deleteServer(ctx, a, "compute.DeleteServer", id, s.reclaim)
}

// ForceDelete ends a server at once, one in the trash too.
func (s *Service) ForceDelete(ctx context.Context, a Actor, id string) error {
	return s.deleteServer(ctx, a, "compute.ForceDelete", id, 0)
}

func (s *Service) deleteServer(ctx context.Context, a Actor, op, id string, keep time.Duration) error {
	_, err := s.change(ctx, op, a, id, "delete", func(_ *store.Tx, v *cloud.Server) error {
		if err := unlocked(op, a.Caller, *v); err != nil {
			return err
		}
		if err := unprotected(op, *v); err != nil {
			return err
		}
		switch {
		case v.Intent.Deleted:
		case keep > 0 && v.Trash != nil: // it is there already, and for no longer
		case keep > 0 && v.LaunchedAt != nil:
			s.trash(v, keep)
		default:
			v.Intent.Deleted = true
			s.want(v)
		}
		return nil
	})
	return err
}

// trash takes a server's guest off, and keeps all else. A resize is confirmed by it,
// as in nova; one on the shelf stays there.
func (s *Service) trash(v *cloud.Server, keep time.Duration) {
	now := s.clock.Now()
	v.Trash = &cloud.Trash{Since: now, Until: now.Add(keep)}
	in := &v.Intent
	if v.OldFlavor != nil && v.VMState() == cloud.VMResized {
		v.OldFlavor, in.Disk = nil, in.Disk.Stay()
	}
	if v.Shelf != nil {
		in.Shelved = true
		in.Offload = in.Offload || v.Shelf.Offloaded
	}
	in.Power, in.Paused, in.Suspended = cloud.PowerOff, false, false
	s.want(v)
}

// Restore takes a server out of the trash and powers it on; one that was shelved is
// shelved. QuotaExceeded when its project has no room for it any more: what is in
// the trash does not count.
func (s *Service) Restore(ctx context.Context, a Actor, id string) error {
	const op = "compute.Restore"
	_, err := s.change(ctx, op, a, id, "restore", func(tx *store.Tx, v *cloud.Server) error {
		if err := unlocked(op, a.Caller, *v); err != nil {
			return err
		}
		if err := v.CheckBusy(op, "restore", []string{cloud.TaskTrashing}, cloud.VMTrashed); err != nil {
			return err
		}
		owner := cloud.Caller{UserID: v.UserID, ProjectID: v.ProjectID}
		if _, err := admitTx(tx, op, owner, v.Flavor, 1, 1); err != nil {
			return err
		}
		v.Trash = nil
		if v.Shelf == nil {
			v.Intent.Power = cloud.PowerOn
		}
		s.want(v)
		return nil
	})
	return err
}
