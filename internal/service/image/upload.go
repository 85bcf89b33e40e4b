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
	if err := s.take(ctx, img, checked); err != nil {
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
	if err := s.judgeHead(img.DiskFormat, prefix, orUnknown(length)); err != nil {
		return nil, err
	}
	return io.MultiReader(bytes.NewReader(prefix), body), nil
}

// judgeHead is judge for as much as the first bytes tell.
func (s *Service) judgeHead(claim string, prefix []byte, length int64) error {
	format := disk.Format(claim)
	switch {
	case disk.HeadSuffices(format):
		_, err := s.judge(claim, bytes.NewReader(prefix), length)
		return err
	case format == disk.VHD:
		return nil
	}
	return refused(disk.CheckClaim(claim, disk.Sniff(prefix)))
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
	digest := ""
	err := s.store.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		digest = ""
		now, err := tx.Images.Get(img.ID)
		if cloud.Is(err, cloud.NotFound) || err == nil && now.UploadID != img.UploadID {
			return nil
		}
		if err != nil {
			return err
		}
		digest = now.Digest
		empty(&now, s.clock.Now())
		return tx.Images.Update(now)
	})
	if err != nil {
		s.opts.Log.Error("a broken upload stays in state saving until the next start", "image", img.ID, "error", err)
		return
	}
	if digest != "" {
		s.dropUnused(ctx, digest)
	}
}

// empty makes an image wait for its bytes.
func empty(img *cloud.Image, now time.Time) {
	img.Status, img.UploadID, img.UpdatedAt = cloud.ImageQueued, "", now
	img.Size, img.VirtualSize = -1, -1
	img.Checksum, img.HashAlgo, img.HashValue, img.Digest = "", "", "", ""
}

// take stages, judges and keeps the bytes.
func (s *Service) take(ctx context.Context, img cloud.Image, body io.Reader) error {
	stage, err := s.blobs.Stage(ctx)
	if err != nil {
		return err
	}
	defer stage.Discard()
	got, err := s.receive(ctx, stage, body)
	if err != nil {
		return err
	}
	virtual, err := s.judge(img.DiskFormat, stage, got.size)
	if err != nil {
		return err
	}
	return s.keep(ctx, img, stage, got, func(_ *store.Tx, now *cloud.Image) error {
		now.Status, now.UploadID, now.VirtualSize = cloud.ImageActive, "", virtual
		return nil
	})
}

// judge holds bytes against the format that the image claims, and gives the size
// of the disk in them. size is math.MaxInt64 while it is not known. Invalid,
// with the reason.
func (s *Service) judge(claim string, r io.ReaderAt, size int64) (virtual int64, err error) {
	info, err := disk.Detect(r, size)
	if mismatch := disk.CheckClaim(claim, info); mismatch != nil {
		err = mismatch // tells more than what is wrong with a header
	}
	if err == nil && info.VirtualSize > s.opts.MaxVirtualSize && size != math.MaxInt64 {
		return 0, cloud.E("image.Upload", cloud.Invalid, "The image was refused: its disk would have %d bytes, the limit is %d.", info.VirtualSize, s.opts.MaxVirtualSize)
	}
	return info.VirtualSize, refused(err)
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
	return cloud.E("image.Upload", cloud.Invalid, "The upload broke off; the image waits for its bytes again, repeat the upload. (%w)", err)
}
