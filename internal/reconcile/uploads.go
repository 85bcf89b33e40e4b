package reconcile

import (
	"context"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// ProcessUpload makes the image of a volume: its bytes go from the node to the
// image service in one pass. What breaks off begins anew.
func (k *Housekeeper) ProcessUpload(ctx context.Context, imageID string) {
	var up cloud.VolumeUpload
	var v cloud.Volume
	err := k.Store.View(ctx, func(tx *store.Tx) (err error) {
		if up, err = tx.VolumeUploads.Get(imageID); err == nil {
			v, err = tx.Volumes.Get(up.VolumeID)
		}
		return err
	})
	if up.ImageID == "" {
		return
	}
	caller := cloud.Caller{UserID: up.UserID, ProjectID: up.ProjectID, Roles: []string{cloud.RoleMember, cloud.RoleReader}}
	if err == nil {
		err = k.upload(ctx, caller, v, up)
	}
	switch {
	case ctx.Err() != nil:
	case err == nil, cloud.Is(err, cloud.NotFound), cloud.Is(err, cloud.Gone): // the image was deleted meanwhile: nobody waits for it
		err = k.endUpload(ctx, up, "")
	case lasting(err, up.Attempt), cloud.Is(err, cloud.TooLarge), cloud.Is(err, cloud.Conflict):
		k.Log.Warn("a volume cannot be made an image", "volume", up.VolumeID, "image", up.ImageID, "error", err)
		if gone := k.Images.Delete(ctx, caller, up.ImageID); gone != nil && !cloud.Is(gone, cloud.NotFound) {
			k.Log.Error("an image without bytes is left", "image", up.ImageID, "error", gone)
		}
		err = k.endUpload(ctx, up, cloud.Message(err))
	default:
		k.Log.Warn("the upload of a volume broke off; it is tried again", "volume", up.VolumeID, "image", up.ImageID, "error", err)
		err = k.Store.Update(ctx, func(tx *store.Tx) error {
			now, err := tx.VolumeUploads.Get(imageID)
			if err != nil {
				return unlessGone(err)
			}
			now.NextAttemptAt = k.Clock.Now().Add(backOff(now.Attempt))
			now.Attempt++
			return tx.VolumeUploads.Update(now)
		})
	}
	if err != nil && ctx.Err() == nil {
		k.Log.Error("cannot write the end of an upload down", "image", up.ImageID, "error", err)
	}
}

func (k *Housekeeper) upload(ctx context.Context, caller cloud.Caller, v cloud.Volume, up cloud.VolumeUpload) error {
	n, err := k.Fleet.Node(v.Node)
	if err != nil {
		return awayError{err}
	}
	body, err := n.ReadVolume(ctx, v.Disk())
	if err != nil {
		return err
	}
	defer body.Close()
	return k.Images.Upload(ctx, caller, up.ImageID, body, v.Seen.SizeBytes)
}

// endUpload lets the volume go.
func (k *Housekeeper) endUpload(ctx context.Context, up cloud.VolumeUpload, failure string) error {
	return k.Store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.VolumeUploads.Delete(up.ImageID); err != nil {
			return unlessGone(err)
		}
		if failure != "" {
			if err := k.tell(tx, up.ProjectID, "VOLUME", up.VolumeID, "VOLUME_VOLUME_003_001", "copy volume to image: "+failure); err != nil {
				return err
			}
		}
		v, err := tx.Volumes.Get(up.VolumeID)
		if err != nil || v.UploadID != up.ImageID {
			return unlessGone(err)
		}
		v.UploadID, v.UpdatedAt = "", k.Clock.Now()
		if v.Deleted {
			v.NextAttemptAt = k.Clock.Now()
		}
		return tx.Volumes.Update(v)
	})
}
