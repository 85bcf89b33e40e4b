package compute

import (
	"context"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// ReplaceRootRequest says by what the content of the disk that a server boots from is
// replaced.
type ReplaceRootRequest struct {
	ImageID string
	After   string // request id of the last action that the image knows of; "" for whatever was done since
}

// idle are the actions that change nothing of what is on a server's disk.
var idle = []string{"createImage", "createBackup", "lock", "unlock"}

// ReplaceRoot gives the root disk of a server that is off, or the volume that it boots
// from, the content of an image, and leaves all else of the server as it is: its image,
// its other disks, its identity. The old root disk goes when the new one is there.
// Conflict for a server that runs, or was used since.
func (s *Service) ReplaceRoot(ctx context.Context, a Actor, id string, r ReplaceRootRequest) error {
	const op = "compute.ReplaceRoot"
	_, err := s.act(ctx, op, a, id, "hearthReplaceRoot", []string{cloud.VMStopped}, func(tx *store.Tx, v *cloud.Server) error {
		if err := unprotected(op, *v); err != nil {
			return err
		}
		if err := unusedSince(tx, op, v.ID, r.After); err != nil {
			return err
		}
		image, err := imageTx(tx, op, a.Caller, r.ImageID)
		if err == nil && image.Digest == "" {
			err = unacceptable(op, image.ID, "it holds no data")
		}
		if err != nil {
			return err
		}
		next := v.Intent.Disk.Next(cloud.DiskReplace, true)
		if v.VolumeBoot {
			if err := s.replaceBootVolume(tx, op, a.Caller, v, image); err != nil {
				return err
			}
			v.Reimaged = next.Turn
		} else if err := imageFits(op, image, v.Flavor); err != nil {
			return err
		}
		with := ref(image)
		v.RootImage, v.Intent.Disk = &with, next
		return nil
	})
	return err
}

// replaceBootVolume sees that the volume that a server boots from can take an image.
func (s *Service) replaceBootVolume(tx *store.Tx, op string, c cloud.Caller, v *cloud.Server, image cloud.Image) error {
	list, err := attachmentsTx(tx, v.ID)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(list, func(a cloud.VolumeAttachment) bool { return a.Boot })
	if at < 0 {
		return cloud.E(op, cloud.Conflict, "Instance %s boots from a volume that is not attached to it.", v.ID)
	}
	d, err := s.volumes.VolumeTx(tx, c, list[at].VolumeID)
	if err == nil && d.Key != nil {
		err = cloud.E(op, cloud.Invalid, "Invalid volume: the volume %s, which the server boots from, is encrypted, and its content is not replaced.", d.ID)
	}
	if err != nil {
		return err
	}
	return s.volumes.ReplaceableTx(tx, c, list[at], image)
}

// unusedSince refuses a server that something was done to after a request.
func unusedSince(tx *store.Tx, op, id, request string) error {
	if request == "" {
		return nil
	}
	list, err := tx.Actions.List(store.Query{Where: []store.Cond{store.Eq("server_id", id)}, Order: []store.Order{{Column: "started_at", Desc: true}}})
	if err != nil {
		return err
	}
	for _, a := range list {
		switch {
		case a.RequestID == request:
			return nil
		case !slices.Contains(idle, a.Action):
			return cloud.E(op, cloud.Conflict, "Instance %s was used since the request %s: '%s' was asked for later. What changed on its disk by that would be lost.", id, request, a.Action)
		}
	}
	return cloud.E(op, cloud.Conflict, "Instance %s has no request %s in its history.", id, request)
}
