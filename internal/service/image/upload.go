package image

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/disk"
	"hearth/internal/store"
)

// Upload gives a queued image its bytes. length is how many will come; -1 if
// that is not known. Conflict in another state; Invalid for bytes that are not
// what the image says, or not safe; TooLarge; Gone when the image was deleted
// meanwhile. On any error the image is queued again, and it can be repeated.
func (s *Service) Upload(ctx context.Context, caller cloud.Caller, id string, body io.Reader, length int64) error {
	img, err := s.uploadable(ctx, caller, id)
	if err != nil {
		return err
	}
	if length > s.opts.MaxSize {
		return tooLarge(s.opts.MaxSize)
	}
	checked, err := s.sniffed(img, body, length)
	if err != nil {
		return err
	}
	img, err = s.begin(ctx, caller, id, cloud.ImageSaving)
	if err != nil {
		return err
	}
	told, st := s.telling(ctx, cloud.ImageLog{ID: img.UploadID, ImageID: id, Method: cloud.ImageUpload})
	err = s.take(told, img, checked)
	s.keepStory(ctx, st, err)
	if err != nil {
		s.requeue(ctx, img)
		return err
	}
	s.dropPart(id) // of an earlier upload, which this one is in place of
	return nil
}

// sniffed judges the first bytes of an image before more are taken, and gives
// all of them to read.
func (s *Service) sniffed(img cloud.Image, body io.Reader, length int64) (io.Reader, error) {
	prefix := make([]byte, disk.SniffLen)
	n, err := fill(body, prefix)
	prefix = prefix[:n]
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return nil, brokenOff(err)
	case n == 0 && disk.Format(img.DiskFormat) != disk.Raw: // glance lets an empty raw image be: clients make one where they have no file
		return nil, cloud.E("image.Upload", cloud.Invalid, "The upload has no bytes: send the image as the body of the request.")
	case errors.Is(err, io.EOF):
		length = int64(n)
	}
	if err := s.judgeHead(img, prefix, orUnknown(length)); err != nil {
		return nil, err
	}
	return io.MultiReader(bytes.NewReader(prefix), body), nil
}

func orUnknown(length int64) int64 {
	if length < 0 {
		return math.MaxInt64
	}
	return length
}

// uploadable gives an image that waits for its bytes.
func (s *Service) uploadable(ctx context.Context, caller cloud.Caller, id string) (img cloud.Image, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		img, err = waiting(tx, caller, id, cloud.ImageSaving)
		return err
	})
	return img, err
}

func waiting(tx *store.Tx, caller cloud.Caller, id string, next cloud.ImageStatus) (cloud.Image, error) {
	const op = "image.Upload"
	img, err := owned(tx, caller, id, "upload_image")
	switch {
	case err != nil:
		return img, err
	case img.Status != cloud.ImageQueued:
		return img, cloud.E(op, cloud.Conflict, "Image status transition from %s to %s is not allowed: an image takes its bytes once.", img.Status, next)
	case next == cloud.ImageUploading: // the import looks at formats
	case img.DiskFormat == "" || img.ContainerFormat == "":
		return img, cloud.E(op, cloud.Invalid, "Properties disk_format, container_format must be set prior to saving data.")
	}
	return img, nil
}

// begin marks the image as being given its bytes by this upload.
func (s *Service) begin(ctx context.Context, caller cloud.Caller, id string, next cloud.ImageStatus) (img cloud.Image, err error) {
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		if img, err = waiting(tx, caller, id, next); err != nil {
			return err
		}
		size := quotaSize
		if next == cloud.ImageUploading {
			size = quotaStage
		}
		if err := afford(tx, img.ProjectID, map[string]int64{quotaUploading: 1, size: 0}); err != nil {
			return err
		}
		img.Status, img.UploadID, img.UpdatedAt = next, cloud.NewID(), s.clock.Now()
		return tx.Images.Update(img)
	})
	return img, err
}

// requeue takes the mark away, if it is still this upload's, whether the caller
// waits or not.
func (s *Service) requeue(ctx context.Context, img cloud.Image) {
	var bytes []string
	err := s.store.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		bytes = nil
		now, err := tx.Images.Get(img.ID)
		if cloud.Is(err, cloud.NotFound) || err == nil && now.UploadID != img.UploadID {
			return nil
		}
		if err != nil {
			return err
		}
		bytes = digestsOf(now)
		empty(&now, s.clock.Now())
		return tx.Images.Update(now)
	})
	if err != nil {
		s.opts.Log.Error("a broken upload stays in state saving until the next start", "image", img.ID, "error", err)
		return
	}
	s.dropUnused(ctx, bytes...)
}

// empty makes an image wait for its bytes.
func empty(img *cloud.Image, now time.Time) {
	img.Status, img.UploadID, img.UpdatedAt = cloud.ImageQueued, "", now
	img.Size, img.VirtualSize = -1, -1
	img.Checksum, img.HashAlgo, img.HashValue, img.Digest, img.Made = "", "", "", "", nil
}

// take stages, judges and keeps the bytes.
func (s *Service) take(ctx context.Context, img cloud.Image, body io.Reader) error {
	stage, err := s.blobs.Stage(ctx)
	if err != nil {
		return err
	}
	defer stage.Discard()
	var got sums
	err = storyOf(ctx).step("receive", func(note noter) error {
		got, err = s.received(ctx, img, stage, body, note)
		return err
	})
	if err != nil {
		return err
	}
	found, err := s.judged(ctx, img, stage, got.size)
	if err == nil {
		err = s.makeDisk(ctx, img, stage.Name(), "sha512:"+got.sha512, &found)
	}
	if err != nil {
		return err
	}
	return s.kept(ctx, img, stage, got, func(_ *store.Tx, now *cloud.Image) error {
		found.note(now)
		now.Status, now.UploadID = cloud.ImageActive, ""
		return nil
	})
}

// refused says what is wrong with an image's bytes; Invalid.
func refused(err error) error {
	var reason *disk.Error
	if errors.As(err, &reason) {
		return cloud.E("image.Upload", cloud.Invalid, "The image was refused: %s.", reason.Reason)
	}
	return err
}

// brokenOff is the error for a sender that went away.
func brokenOff(err error) error {
	return cloud.E("image.Upload", cloud.Invalid, "The bytes broke off on their way; the image waits for them again: repeat the upload, or the import. (%w)", err)
}
