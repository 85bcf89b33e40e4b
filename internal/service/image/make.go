package image

import (
	"context"
	"errors"
	"os"

	"hearth/internal/cloud"
	"hearth/internal/disk"
	"hearth/internal/disk/rendition"
	"hearth/internal/store"
)

// makeDisk gives an image whose bytes, in a file, are an archive of files, a dump or
// Ganeti's export, the disk that nodes boot: the one that another image of the same
// bytes has, or a new one. Images of other kinds are left alone, overlays, and
// archives of foreign definitions.
func (s *Service) makeDisk(ctx context.Context, img cloud.Image, path, digest string, found *verdict) error {
	if s.opts.Shop == nil || disk.Format(img.DiskFormat) != disk.Raw || img.Packaged() || img.Properties[cloud.PropertyOverlay] != "" || img.Properties[cloud.PropertyOSArchive] != "" {
		return nil
	}
	is, err := rendition.IsTree(path)
	if err != nil || !is {
		return refused(err)
	}
	return storyOf(ctx).step("make_disk", func(note noter) error {
		had, err := s.alreadyMade(ctx, img, digest)
		if err != nil || had != nil {
			found.made, found.virtual = had, sizeOf(had)
			note("the disk that another image of the same bytes has, %d bytes", sizeOf(had))
			return err
		}
		err = s.makeNew(ctx, img, path, found)
		note("a disk of %d bytes of the files in it", sizeOf(found.made))
		return err
	})
}

// makeNew is makeDisk for bytes that no other image has.
func (s *Service) makeNew(ctx context.Context, img cloud.Image, path string, found *verdict) error {
	stage, got, _, err := s.remade(ctx, cloud.Image{DiskFormat: string(disk.Raw), ContainerFormat: "bare", Name: img.Name}, path)
	if err != nil {
		return err
	}
	defer stage.Discard()
	made := &cloud.MadeDisk{Digest: "sha512:" + got.sha512, Size: got.size}
	s.keeping.Lock()
	err = stage.Keep(made.Digest)
	if err == nil {
		err = s.change(ctx, img, func(_ *store.Tx, now *cloud.Image) error { now.Made = made; return nil })
	}
	s.keeping.Unlock()
	if err != nil {
		s.dropUnused(ctx, made.Digest)
	}
	found.made, found.virtual = made, made.Size
	return err
}

func sizeOf(made *cloud.MadeDisk) int64 {
	if made == nil {
		return 0
	}
	return made.Size
}

// alreadyMade has an image share the disk of another one of the same bytes; nil for none.
func (s *Service) alreadyMade(ctx context.Context, img cloud.Image, digest string) (made *cloud.MadeDisk, err error) {
	s.keeping.Lock() // so that it does not go meanwhile
	defer s.keeping.Unlock()
	err = s.store.View(ctx, func(tx *store.Tx) error {
		made = nil
		same, err := tx.Images.List(store.Where(store.Eq("digest", digest)))
		for _, other := range same {
			if other.Made != nil && other.ID != img.ID {
				made = other.Made
			}
		}
		return err
	})
	if err == nil && made != nil {
		err = s.change(ctx, img, func(_ *store.Tx, now *cloud.Image) error { now.Made = made; return nil })
	}
	return made, err
}

// remade makes of the bytes in a file those of an image as it is to be, and stages them.
func (s *Service) remade(ctx context.Context, as cloud.Image, path string) (stage Stage, got sums, found verdict, err error) {
	if stage, err = s.blobs.Stage(ctx); err != nil {
		return nil, got, found, err
	}
	defer func() {
		if err != nil {
			stage.Discard()
		}
	}()
	made := stage.Name() + ".made" // which Clean removes, if this process does not
	defer os.Remove(made)
	if err = s.opts.Shop.Make(ctx, path, as.DiskFormat, made, as.Name); err != nil {
		return stage, got, found, refused(err)
	}
	f, err := os.Open(made)
	if err != nil {
		return stage, got, found, err
	}
	defer f.Close()
	if got, err = s.receive(ctx, cloud.Image{}, stage, f); err == nil {
		found, err = s.judge(as, stage, got.size, true)
	}
	return stage, got, found, err
}

// Forms are what images can be made on their way out.
func Forms() []string { return rendition.Forms() }

// Converted is Download for an image in another form, one of [Forms]; nil while it has
// no bytes. Invalid of other forms, and of what cannot be made; TooLarge.
func (s *Service) Converted(ctx context.Context, caller cloud.Caller, id, form string) (*rendition.Rendition, error) {
	const op = "image.Convert"
	img, data, err := s.Download(ctx, caller, id)
	if err != nil || data == nil {
		return nil, err
	}
	own := img.DiskFormat
	if img.Packaged() {
		own = rendition.OVA
	}
	if form == own && img.Made == nil {
		return &rendition.Rendition{ReadSeekCloser: data, Size: img.Size, MD5: img.Checksum, Tag: img.Checksum}, nil
	}
	_ = data.Close()
	if s.opts.Shop == nil || img.DiskFormat == "aki" || img.DiskFormat == "ari" {
		return nil, cloud.E(op, cloud.Invalid, "Image %s is of the format %s, and cannot be made another: leave 'format' out.", id, img.DiskFormat)
	}
	src := rendition.Source{Digest: img.Digest, Name: img.Name}
	src.Path, err = s.blobs.Path(img.Digest)
	if err == nil && img.Made != nil {
		src.Disk, err = s.blobs.Path(img.Made.Digest)
	}
	if err != nil {
		return nil, cloud.E(op, cloud.Internal, "the bytes of image %s are missing: %w", id, err)
	}
	if src.Name == "" {
		src.Name = img.ID
	}
	r, err := s.opts.Shop.Open(ctx, src, form)
	var reason *disk.Error
	if errors.As(err, &reason) {
		kind := cloud.Invalid
		switch reason.Kind {
		case disk.TooBig:
			kind = cloud.TooLarge
		case disk.ToolMissing, disk.ToolFailed, disk.TimedOut:
			kind = cloud.Internal
		}
		return nil, cloud.E(op, kind, "The image cannot be made %s: %s.", form, reason.Reason)
	}
	return r, err
}
