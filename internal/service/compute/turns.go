package compute

import (
	"context"
	"maps"

	"hearth/internal/cloud"
	"hearth/internal/schedule"
	"hearth/internal/service/placement"
	"hearth/internal/store"
)

// act is change for an action that is a new try of the server: checked by its
// lock and its state, and handed to its node at once.
func (s *Service) act(ctx context.Context, op string, a Actor, id, action string, allowed []string, do func(tx *store.Tx, v *cloud.Server) error) (Detail, error) {
	return s.change(ctx, op, a, id, action, func(tx *store.Tx, v *cloud.Server) error {
		if err := unlocked(op, a.Caller, *v); err != nil {
			return err
		}
		if err := v.Check(op, action, allowed...); err != nil {
			return err
		}
		if err := do(tx, v); err != nil {
			return err
		}
		v.Fault, v.Marked = nil, false
		s.want(v)
		return nil
	})
}

// Pause stops the guest's processors.
func (s *Service) Pause(ctx context.Context, a Actor, id string) error {
	_, err := s.act(ctx, "compute.Pause", a, id, "pause", []string{cloud.VMActive}, func(_ *store.Tx, v *cloud.Server) error {
		v.Intent.Paused = true
		return nil
	})
	return err
}

// Unpause lets them run on.
func (s *Service) Unpause(ctx context.Context, a Actor, id string) error {
	_, err := s.act(ctx, "compute.Unpause", a, id, "unpause", []string{cloud.VMPaused}, func(_ *store.Tx, v *cloud.Server) error {
		v.Intent.Paused = false
		return nil
	})
	return err
}

// RebuildRequest is what a rebuild changes; nil leaves it.
type RebuildRequest struct {
	ImageID  string
	Update   ServerUpdate
	Metadata map[string]string
	UserData *[]byte
	KeyName  *string           // "" takes the key away
	Files    []cloud.GuestFile // in place of those it had
	Reimage  bool              // the volume that it boots from is to be made anew, too
}

// Rebuild makes the server's disks anew from an image.
func (s *Service) Rebuild(ctx context.Context, a Actor, id string, r RebuildRequest) (Detail, error) {
	const op = "compute.Rebuild"
	states := []string{cloud.VMActive, cloud.VMStopped, cloud.VMPaused, cloud.VMError}
	return s.act(ctx, op, a, id, "rebuild", states, func(tx *store.Tx, v *cloud.Server) error {
		if err := unprotected(op, *v); err != nil {
			return err
		}
		r.Update.apply(v)
		if r.Metadata != nil {
			if err := metadataFits(tx, op, v.ProjectID, r.Metadata); err != nil {
				return err
			}
			v.Metadata = maps.Clone(r.Metadata)
		}
		if r.UserData != nil {
			v.UserData = *r.UserData
		}
		if err := filesFit(tx, op, v.ProjectID, r.Files); err != nil {
			return err
		}
		v.Files, v.ConfigDrive = r.Files, v.ConfigDrive || len(r.Files) > 0
		if err := rekey(tx, op, a, v, r.KeyName); err != nil {
			return err
		}
		if v.VolumeBoot {
			if err := s.rebuildVolume(tx, op, a.Caller, r, v); err != nil {
				return err
			}
		} else if err := useImage(tx, op, a.Caller, r.ImageID, v); err != nil {
			return err
		} else if err := deployBy(tx, op, v); err != nil { // by the definition as it is now
			return err
		}
		v.Rescue, v.RescueAs = nil, nil
		v.Intent.Paused, v.Intent.Suspended, v.Intent.Disk = false, false, v.Intent.Disk.Next(cloud.DiskRebuild, false)
		return nil
	})
}

// rebuildVolume has the volume that a server boots from be given an image anew, if
// the client knows of that. Else the image must be the volume's own, which stays as
// it is, and all else is made anew.
func (s *Service) rebuildVolume(tx *store.Tx, op string, c cloud.Caller, r RebuildRequest, v *cloud.Server) error {
	image, err := imageTx(tx, op, c, r.ImageID)
	if err != nil {
		return err
	}
	list, err := attachmentsTx(tx, v.ID)
	if err != nil {
		return err
	}
	for _, at := range list {
		if !at.Boot {
			continue
		}
		d, err := s.volumes.VolumeTx(tx, c, at.VolumeID)
		switch {
		case err != nil:
			return err
		case !r.Reimage && d.ImageMetadata["image_id"] == image.ID:
			return nil
		case !r.Reimage:
			continue
		case d.Key != nil:
			return cloud.E(op, cloud.Invalid, "Invalid volume: the volume %s, which the server boots from, is encrypted, and is not given another image: delete the server and make a volume of the image.", d.ID)
		}
		if err := inherit(tx, op, c, image, v); err != nil {
			return err
		}
		if image.Digest == "" {
			return unacceptable(op, image.ID, "it holds no data")
		}
		v.Image, v.Reimaged = ref(image), v.Intent.Disk.Next(cloud.DiskRebuild, false).Turn
		return s.volumes.ReimagedTx(tx, c, at, image)
	}
	return unacceptable(op, image.ID, "Unable to rebuild with a different image for a volume-backed server.")
}

// rekey gives the server another keypair of the caller's; nil leaves it.
func rekey(tx *store.Tx, op string, a Actor, v *cloud.Server, name *string) error {
	switch {
	case name == nil:
		return nil
	case *name == "":
		v.Key = nil
		return nil
	}
	key, err := tx.Keypairs.Get(cloud.Keypair{UserID: a.UserID, Name: *name}.Key())
	if cloud.Is(err, cloud.NotFound) {
		return cloud.E(op, cloud.Invalid, "Invalid key_name provided.")
	}
	v.Key = &key
	return err
}

// Resize gives the server another flavor on its host: its root disk is copied and
// the old one kept until the resize is confirmed or reverted.
func (s *Service) Resize(ctx context.Context, a Actor, id, flavorID, diskConfig string) error {
	const op = "compute.Resize"
	_, err := s.act(ctx, op, a, id, "resize", []string{cloud.VMActive, cloud.VMStopped}, func(tx *store.Tx, v *cloud.Server) error {
		f, err := flavorTx(tx, op, a.Caller, flavorID)
		if err != nil {
			return asInvalid(op, err)
		}
		if err := s.resizable(tx, op, *v, f); err != nil {
			return err
		}
		if diskConfig != "" {
			v.DiskConfig = diskConfig
		}
		old := v.Flavor
		v.OldFlavor, v.Flavor = &old, f
		v.Intent.Disk = v.Intent.Disk.Next(cloud.DiskResize, true)
		return s.migrateTx(tx, a, *v, old.ID)
	})
	return err
}

// resizable refuses a flavor that the server, its project or its host cannot
// have.
func (s *Service) resizable(tx *store.Tx, op string, v cloud.Server, f cloud.Flavor) error {
	now := schedule.SizeOf(v)
	to := v
	to.Flavor = f
	next := schedule.SizeOf(to)
	switch {
	case f.Disabled:
		return asInvalid(op, noFlavor(op, f.ID))
	case f.ID == v.Flavor.ID:
		return cloud.E(op, cloud.Invalid, "When resizing, instances must change flavor!")
	case f.RootGB < v.Flavor.RootGB && !v.VolumeBoot, f.EphemeralGB < v.Flavor.EphemeralGB:
		return cloud.E(op, cloud.Invalid, "Unable to resize disk down: the server has %d GB of root and %d GB of ephemeral disk, the flavor %d and %d.",
			v.Flavor.RootGB, v.Flavor.EphemeralGB, f.RootGB, f.EphemeralGB)
	}
	if err := growthTx(tx, op, v.ProjectID, next.VCPUs-now.VCPUs, next.MemoryMB-now.MemoryMB); err != nil {
		return err
	}
	servers, err := tx.Servers.List(store.Where(store.Ne("node", ""), store.Ne("id", v.ID)))
	if err != nil {
		return err
	}
	fleet, err := placement.FleetOfTx(tx, servers, s.ratios, s.clock.Now())
	if err != nil {
		return err
	}
	if _, err := schedule.Plan(fleet, schedule.Request{Size: next, Host: v.Node}); err != nil {
		return cloud.E(op, cloud.Invalid, "No valid host was found. %s", cloud.Message(err))
	}
	return nil
}

// ConfirmResize gives the old disk and flavor up.
func (s *Service) ConfirmResize(ctx context.Context, a Actor, id string) error {
	_, err := s.act(ctx, "compute.ConfirmResize", a, id, "confirmResize", []string{cloud.VMResized}, func(tx *store.Tx, v *cloud.Server) error {
		v.OldFlavor, v.Intent.Disk = nil, v.Intent.Disk.Stay()
		return s.migratedTx(tx, v.ID, cloud.MigrationConfirmed)
	})
	return err
}

// RevertResize goes back to the old disk and flavor.
func (s *Service) RevertResize(ctx context.Context, a Actor, id string) error {
	_, err := s.act(ctx, "compute.RevertResize", a, id, "revertResize", []string{cloud.VMResized}, func(tx *store.Tx, v *cloud.Server) error {
		v.Flavor, v.OldFlavor = *v.OldFlavor, nil
		v.Intent.Disk = v.Intent.Disk.Back(cloud.DiskRevert)
		return s.migratedTx(tx, v.ID, cloud.MigrationReverted)
	})
	return err
}

// Rescue boots the server from an image, "" for its own, with its root disk as
// the second disk; or, when the image says what its disk is to be to the guest, with
// that disk behind all others. A server that boots from a volume is rescued in the
// second way only, and if the client knows of it.
func (s *Service) Rescue(ctx context.Context, a Actor, id, imageID string, volumeBacked bool) error {
	const op = "compute.Rescue"
	states := []string{cloud.VMActive, cloud.VMStopped, cloud.VMError}
	_, err := s.act(ctx, op, a, id, "rescue", states, func(tx *store.Tx, v *cloud.Server) error {
		if v.OldFlavor != nil {
			return cloud.E(op, cloud.Conflict, "Cannot 'rescue' instance %s while its resize is neither confirmed nor reverted", v.ID)
		}
		rescue, said := v.Image, v.ImageProperties
		if imageID != "" && imageID != v.ImageID {
			image, err := imageTx(tx, op, a.Caller, imageID)
			if err != nil {
				return err
			}
			if image.ContainerFormat != "bare" && !image.Packaged() || image.Digest == "" {
				return unacceptable(op, imageID, "a server is rescued by a disk image")
			}
			if err := imageFits(op, image, v.Flavor); err != nil {
				return err
			}
			rescue, said = ref(image), image.Properties
		}
		if err := rescuable(op, *v, said, volumeBacked && rescue.Digest != ""); err != nil {
			return err
		}
		as, err := rescueAs(op, said)
		if err != nil {
			return err
		}
		v.Rescue, v.RescueAs = &rescue, as
		v.Intent.Power, v.Intent.Paused, v.Intent.Suspended = cloud.PowerOn, false, false
		v.Intent.Disk = v.Intent.Disk.Next(cloud.DiskRescue, true)
		return nil
	})
	return err
}

// Unrescue boots the server from its own disk again.
func (s *Service) Unrescue(ctx context.Context, a Actor, id string) error {
	_, err := s.act(ctx, "compute.Unrescue", a, id, "unrescue", []string{cloud.VMRescued}, func(_ *store.Tx, v *cloud.Server) error {
		v.Rescue, v.RescueAs, v.Intent.Power = nil, nil, cloud.PowerOn
		v.Intent.Disk = v.Intent.Disk.Back(cloud.DiskUnrescue)
		return nil
	})
	return err
}

// ResetState is the operator's word that a server is in error, or that it is not:
// then what is wanted of it is tried again, and its state is what is seen.
func (s *Service) ResetState(ctx context.Context, a Actor, id string, bad bool) error {
	_, err := s.change(ctx, "compute.ResetState", a, id, "os-resetState", func(_ *store.Tx, v *cloud.Server) error {
		if v.Marked = bad; !bad && v.Fault != nil {
			v.Fault = nil
			s.want(v)
		}
		return nil
	})
	return err
}

// Push hands what is wanted of a server, its ports included, to its node again.
func (s *Service) Push(ctx context.Context, a Actor, id, action string) error {
	_, err := s.change(ctx, "compute.Push", a, id, action, func(_ *store.Tx, v *cloud.Server) error {
		s.push(v)
		return nil
	})
	return err
}
