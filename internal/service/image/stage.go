package image

import (
	"context"
	"errors"
	"io"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Stage gives a queued image its bytes without judging them: that is Import's.
// The image is uploading until then. Conflict in another state; TooLarge; Gone
// when the image was deleted meanwhile. On any error it is queued again.
func (s *Service) Stage(ctx context.Context, caller cloud.Caller, id string, body io.Reader) error {
	img, err := s.begin(ctx, caller, id, cloud.ImageUploading)
	if err != nil {
		return err
	}
	if err := s.stage(ctx, img, body); err != nil {
		s.requeue(ctx, img)
		return err
	}
	return nil
}

func (s *Service) stage(ctx context.Context, img cloud.Image, body io.Reader) error {
	stage, err := s.blobs.Stage(ctx)
	if err != nil {
		return err
	}
	defer stage.Discard()
	got, err := s.receive(ctx, img, stage, body)
	if err == nil && got.size == 0 {
		err = cloud.E("image.Stage", cloud.Invalid, "The upload has no bytes: send the image as the body of the request.")
	}
	if err != nil {
		return err
	}
	return s.keep(ctx, img, stage, got, func(_ *store.Tx, now *cloud.Image) error {
		now.UploadID = ""
		return nil
	})
}

// receive takes bytes in and has the disk hold them; errors are for the sender. Bytes
// that are not those which the image's owner expects are Invalid.
func (s *Service) receive(ctx context.Context, img cloud.Image, stage Stage, body io.Reader) (sums, error) {
	expect := expected(img)
	got, err := receive(ctx, stage, body, s.opts.MaxSize, expect.hashes()...)
	var read readError
	switch {
	case errors.As(err, &read):
		return got, brokenOff(read.error)
	case errors.Is(err, errTooMuch):
		return got, tooLarge(s.opts.MaxSize)
	case err != nil:
		return got, err
	}
	if err := expect.check(got.sha512); err != nil {
		return got, err
	}
	return got, stage.Seal()
}

// keep gives received bytes to the image, with what change further does to it
// in the same transaction; Gone if it is no longer this upload's.
func (s *Service) keep(ctx context.Context, img cloud.Image, stage Stage, got sums, change func(*store.Tx, *cloud.Image) error) error {
	digest := "sha512:" + got.sha512
	s.keeping.Lock()
	err := stage.Keep(digest)
	if err == nil {
		err = s.change(ctx, img, func(tx *store.Tx, now *cloud.Image) error {
			now.Size, now.Checksum, now.HashAlgo, now.HashValue, now.Digest = got.size, got.md5, "sha512", got.sha512, digest
			return change(tx, now)
		})
	}
	s.keeping.Unlock()
	if err != nil {
		s.dropUnused(ctx, digest)
	}
	return err
}

// change changes an image's row while it is still this upload's; Gone.
func (s *Service) change(ctx context.Context, img cloud.Image, change func(*store.Tx, *cloud.Image) error) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		now, err := tx.Images.Get(img.ID)
		if cloud.Is(err, cloud.NotFound) || err == nil && now.UploadID != img.UploadID {
			return cloud.E("image.Upload", cloud.Gone, "Image %s could not be found after upload. The image may have been deleted during the upload.", img.ID)
		}
		if err != nil {
			return err
		}
		now.UpdatedAt = s.clock.Now()
		if err := change(tx, &now); err != nil {
			return err
		}
		return tx.Images.Update(now)
	})
}
