package image

import (
	"context"
	"errors"
	"io"

	"hearth/internal/cloud"
	"hearth/internal/disk"
)

// Span is which bytes of an image a part of its upload has.
type Span struct{ From, Length, Total int64 }

// Came is how many bytes have come in parts of an image that waits for them, or just
// gets some; ok is false of others. An upload goes on from there, after whatever ended it.
func (s *Service) Came(img cloud.Image) (n int64, ok bool, err error) {
	if img.Status != cloud.ImageQueued && img.Status != cloud.ImageSaving {
		return 0, false, nil
	}
	n, err = s.blobs.PartSize(img.ID)
	return n, true, err
}

// UploadPart gives a queued image the next part of its bytes, and says how many
// came so far. With the last of them the image is made as Upload does. Between parts
// it is queued: nothing waits for a client that does not come back, and a whole
// upload may take its place. What came of a part that breaks off is kept. Conflict
// for a part that does not begin where the last one ended, and in another state;
// else as Upload.
func (s *Service) UploadPart(ctx context.Context, caller cloud.Caller, id string, span Span, body io.Reader) (came int64, err error) {
	const op = "image.UploadPart"
	switch {
	case span.From < 0 || span.Length <= 0 || span.Total <= 0 || span.Length > span.Total-span.From:
		return 0, cloud.E(op, cloud.Invalid, "A part of %d bytes from %d on is not in an image of %d bytes.", span.Length, span.From, span.Total)
	case span.Total > s.opts.MaxSize:
		return 0, tooLarge(s.opts.MaxSize)
	}
	img, err := s.begin(ctx, caller, id, cloud.ImageSaving)
	if err != nil {
		return 0, err
	}
	made := false
	defer func() {
		if !made {
			s.requeue(ctx, img)
			s.dropOrphan(ctx, id)
		}
	}()
	part, err := s.blobs.Part(ctx, id)
	if err != nil {
		return 0, err
	}
	err = s.addPart(part, img, span, body)
	if err == nil && part.Size() == span.Total {
		told, st := s.telling(ctx, cloud.ImageLog{ID: img.UploadID, ImageID: id, Method: cloud.ImageUpload})
		err = s.take(told, img, io.NewSectionReader(part, 0, span.Total))
		s.keepStory(ctx, st, err)
		made = err == nil
	}
	came = part.Size()
	if err = errors.Join(err, part.Close()); made || cloud.Is(err, cloud.Invalid) && came == span.Total {
		s.dropPart(id) // it was refused for good: the next upload begins anew
	}
	return came, err
}

// addPart writes a part behind those that came, and judges the first.
func (s *Service) addPart(part Part, img cloud.Image, span Span, body io.Reader) error {
	if part.Size() != span.From {
		return cloud.E("image.UploadPart", cloud.Conflict, "The part begins at %d, but %d bytes of the image came: go on from there.", span.From, part.Size())
	}
	if span.From == 0 && (span.Length >= disk.SniffLen || span.Length == span.Total) {
		checked, err := s.sniffed(img, io.LimitReader(body, span.Length), span.Total)
		if err != nil {
			return err
		}
		body = checked
	}
	// A read error is told apart from one of the disk: what came before it stays.
	n, err := io.Copy(part, limitRead(body, span.Length))
	var read readError
	switch {
	case errors.As(err, &read):
		return brokenOff(read.error)
	case err == nil && n < span.Length:
		return brokenOff(io.ErrUnexpectedEOF)
	}
	return err
}

// limitRead reads at most n bytes; its errors are readErrors.
func limitRead(r io.Reader, n int64) io.Reader { return partReader{io.LimitReader(r, n)} }

type partReader struct{ r io.Reader }

// Read reads on.
func (p partReader) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = readError{err}
	}
	return n, err
}

// dropOrphan forgets the parts of an image that was deleted while one came.
func (s *Service) dropOrphan(ctx context.Context, id string) {
	if _, err := s.Get(context.WithoutCancel(ctx), cloud.Caller{Roles: []string{cloud.RoleAdmin}}, id); cloud.Is(err, cloud.NotFound) {
		s.dropPart(id)
	}
}

// dropPart forgets what came in parts. What fails is tried again by Recover.
func (s *Service) dropPart(id string) {
	if err := s.blobs.RemovePart(id); err != nil {
		s.opts.Log.Warn("a part of an upload stays until the next start", "image", id, "error", err)
	}
}
