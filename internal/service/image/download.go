package image

import (
	"context"
	"errors"
	"io"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Download gives an image's bytes, to be closed; nil while it has none.
// Forbidden of a deactivated image, but for admins.
func (s *Service) Download(ctx context.Context, caller cloud.Caller, id string) (cloud.Image, io.ReadSeekCloser, error) {
	const op = "image.Download"
	img, err := s.Get(ctx, caller, id)
	switch {
	case err != nil:
		return img, nil, err
	case img.Status == cloud.ImageDeactivated && !caller.IsAdmin():
		return img, nil, cloud.E(op, cloud.Forbidden, "The requested image has been deactivated. Image data download is forbidden.")
	case img.Digest == "" || img.Status == cloud.ImageUploading || img.Status == cloud.ImageImporting:
		return img, nil, nil
	}
	data, err := s.blobs.Open(img.Digest)
	if cloud.Is(err, cloud.NotFound) {
		return img, nil, cloud.E(op, cloud.Internal, "the bytes of image %s are missing: %w", id, err)
	}
	return img, data, err
}

// Recover brings order after a start, however the last run ended: images that
// were being saved are queued again, bytes that no image has are removed. It
// must be done before the first request, by the only process that works on the
// blobs.
func (s *Service) Recover(ctx context.Context) error {
	if err := s.blobs.Clean(ctx); err != nil {
		return err
	}
	if s.opts.Shop != nil {
		if err := s.opts.Shop.Clean(); err != nil {
			return err
		}
	}
	used, waiting := map[string]string{}, map[string]bool{}
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		clear(used)
		clear(waiting)
		images, err := tx.Images.List(store.Query{})
		if err != nil {
			return err
		}
		for _, img := range images {
			used[img.Digest], used[img.MadeDigest()] = img.ID, img.ID
			waiting[img.ID] = img.Status == cloud.ImageQueued || img.Status == cloud.ImageSaving
			if img.Status != cloud.ImageSaving && (img.Status != cloud.ImageUploading || img.UploadID == "") {
				continue
			}
			empty(&img, s.clock.Now())
			if err := tx.Images.Update(img); err != nil {
				return err
			}
		}
		return restart(tx, s.clock.Now())
	})
	if err != nil {
		return err
	}
	return errors.Join(s.sweep(ctx, used), s.sweepParts(ctx, waiting))
}

// sweepParts removes what came of uploads whose images wait for no bytes any more.
func (s *Service) sweepParts(ctx context.Context, waiting map[string]bool) error {
	have, err := s.blobs.Parts(ctx)
	for _, id := range have {
		if !waiting[id] {
			err = errors.Join(err, s.blobs.RemovePart(id))
		}
	}
	return err
}

// restart has the imports begun again that were under way.
func restart(tx *store.Tx, now time.Time) error {
	tasks, err := tx.ImageTasks.List(store.Where(store.Eq("status", string(cloud.TaskProcessing))))
	for _, t := range tasks {
		t.Status, t.Done, t.Message, t.UpdatedAt = cloud.TaskPending, 0, "", now
		err = errors.Join(err, tx.ImageTasks.Update(t))
	}
	return err
}

// sweep removes the blobs that are not used, and says which used ones are gone.
func (s *Service) sweep(ctx context.Context, used map[string]string) error {
	have, err := s.blobs.Digests(ctx)
	if err != nil {
		return err
	}
	var failures []error
	for _, digest := range have {
		if _, ok := used[digest]; !ok {
			failures = append(failures, s.blobs.Remove(digest))
		}
		delete(used, digest)
	}
	for digest, id := range used {
		if digest != "" {
			s.opts.Log.Error("the bytes of an image are missing", "image", id, "digest", digest)
		}
	}
	return errors.Join(failures...)
}
