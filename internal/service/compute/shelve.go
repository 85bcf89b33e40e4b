package compute

import (
	"context"

	"hearth/internal/cloud"
	"hearth/internal/service/placement"
	"hearth/internal/store"
)

// Shelve makes an image of a server and takes it off its host, at once or as
// the operator has set it.
func (s *Service) Shelve(ctx context.Context, a Actor, id string) error {
	const op = "compute.Shelve"
	states := []string{cloud.VMActive, cloud.VMStopped, cloud.VMPaused, cloud.VMSuspended}
	_, err := s.act(ctx, op, a, id, "shelve", states, func(tx *store.Tx, v *cloud.Server) error {
		shelf := cloud.Shelf{}
		if !v.VolumeBoot {
			shelf.Image.ID = cloud.NewID()
			img := s.snapshotOf(a, *v, shelf.Image.ID, v.Name+"-shelved", nil)
			img.ProjectID = v.ProjectID
			if err := tx.Images.Insert(img); err != nil {
				return err
			}
			v.Snapshots = append(v.Snapshots, shelf.Image.ID)
		}
		v.Shelf = &shelf
		in := &v.Intent
		in.Shelved, in.Offload, in.Power, in.Paused, in.Suspended = true, v.VolumeBoot, cloud.PowerOff, false, false
		return nil
	})
	return err
}

// ShelveOffload takes a shelved server off its host now.
func (s *Service) ShelveOffload(ctx context.Context, a Actor, id string) error {
	_, err := s.act(ctx, "compute.ShelveOffload", a, id, "shelveOffload", []string{cloud.VMShelved}, func(_ *store.Tx, v *cloud.Server) error {
		v.Intent.Offload = true
		return nil
	})
	return err
}

// UnshelveTo says where a shelved server is to run again.
type UnshelveTo struct {
	Zone *string // "" takes the zone that it was bound to away; nil leaves it
	Host string  // an admin's; "" for any
}

// Unshelve has a shelved server run again: on its host, or, if it is on none,
// on one that is chosen anew, with a disk of the image.
func (s *Service) Unshelve(ctx context.Context, a Actor, id string, to UnshelveTo) error {
	const op = "compute.Unshelve"
	_, err := s.act(ctx, op, a, id, "unshelve", []string{cloud.VMShelved, cloud.VMOffloaded}, func(tx *store.Tx, v *cloud.Server) error {
		if (to.Zone != nil || to.Host != "") && v.VMState() != cloud.VMOffloaded {
			return cloud.E(op, cloud.Conflict, "The server to be unshelved to a zone or host must be shelved offloaded: instance %s is in vm_state %s", v.ID, v.VMState())
		}
		if to.Zone != nil {
			if err := zoneExists(tx, op, *to.Zone); err != nil {
				return err
			}
			v.AvailabilityZone = *to.Zone
		}
		if to.Host != "" {
			if !a.IsAdmin() {
				return cloud.E(op, cloud.Forbidden, "Policy doesn't allow os_compute_api:os-shelve:unshelve_to_host to be performed.")
			}
			zone, err := placement.ZoneTx(tx, to.Host)
			if err != nil {
				return asInvalid(op, NoHost(op, to.Host))
			}
			if v.AvailabilityZone != "" && zone != v.AvailabilityZone {
				return cloud.E(op, cloud.Conflict, "The requested host %s is not in the availability zone %s of the server.", to.Host, v.AvailabilityZone)
			}
		}
		v.ForcedHost = to.Host
		in := &v.Intent
		in.Shelved, in.Offload, in.Power = false, false, cloud.PowerOn
		return nil
	})
	return err
}
