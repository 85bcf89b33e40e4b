// Package image is what requests about images mean: who sees and changes them,
// how their bytes come in and go out. Images are the rows of the store's images
// and image_members, their bytes are in Blobs, one copy of each content.
//
// Bytes come in once, and are judged as they come: the format from the first of
// them, checksums of all, the header at the end. An upload that ends badly, at
// any point, leaves a queued image and nothing else.
package image

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"sync"

	"hearth/internal/cloud"
	"hearth/internal/disk/rendition"
	"hearth/internal/service/image/metadef"
	"hearth/internal/store"
)

// Blobs keeps the bytes of images by their digest ("sha512:<hex>").
type Blobs interface {
	// Stage begins an upload.
	Stage(ctx context.Context) (Stage, error)
	// Open reads a blob; NotFound.
	Open(digest string) (io.ReadSeekCloser, error)
	// Path is the file of a blob, to be read by tools; NotFound.
	Path(digest string) (string, error)
	// Remove removes a blob. No error when it is gone.
	Remove(digest string) error
	// Digests lists what is kept.
	Digests(ctx context.Context) ([]string, error)
	// Clean removes what uploads left behind that died with their process.
	Clean(ctx context.Context) error
	// Part opens what came of an upload in parts, to be written on at its end.
	Part(ctx context.Context, id string) (Part, error)
	// PartSize is how many bytes of it came; 0 when none did.
	PartSize(id string) (int64, error)
	// RemovePart forgets it. No error when there is none.
	RemovePart(id string) error
	// Parts lists the ids of which something came.
	Parts(ctx context.Context) ([]string, error)
}

// Part is an upload that comes in parts; it stays after Close, which waits until
// the disk has it. It is an alias as Stage is.
type Part = interface {
	io.Writer
	io.ReaderAt
	Size() int64
	Close() error
}

// Stage is an upload under way. Write, then Seal; ReadAt what is there, or have tools
// read the file Name; then
// Keep it under its digest, or Discard it, which does nothing after Keep. A full
// disk is TooLarge. It is an alias, so that implementations need not import this
// room.
type Stage = interface {
	io.Writer
	io.ReaderAt
	Name() string
	Seal() error
	Keep(digest string) error
	Discard()
}

// Options are limits; their zero values are glance's defaults.
type Options struct {
	MaxSize        int64     // of an image's bytes: 1 TiB (image_size_cap)
	MaxVirtualSize int64     // of the disk in it: 8 TiB
	MaxProperties  int       // of one image: 128
	MaxTags        int       // 128
	MaxMembers     int       // 128
	Source         Source    // of web-downloads; nil for none
	Elsewhere      Elsewhere // of glance-downloads; nil for none
	Log            *slog.Logger
	Keyring        string // file of the keys that images of imports are signed by; "": only those that an import names

	Shop      *rendition.Shop // makes images of other forms; nil: no image can be made any
	ConvertTo string          // what imports are converted to (glance's image_conversion): qcow2, raw or vmdk; "" for nothing
}

func (o Options) filled() Options {
	or(&o.MaxSize, 1<<40)
	or(&o.MaxVirtualSize, 8<<40)
	or(&o.MaxProperties, 128)
	or(&o.MaxTags, 128)
	or(&o.MaxMembers, 128)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

func or[N int | int64](v *N, normal N) {
	if *v == 0 {
		*v = normal
	}
}

// The formats that an image can be registered with. Nodes boot from the disk
// formats up to iso; those of other hypervisors are kept for whoever converts
// them. ovf is taken for the disk inside, as people write it.
var (
	ContainerFormats = []string{"ami", "ari", "aki", "bare", "ovf", cloud.ContainerOVA}
	DiskFormats      = []string{"ami", "ari", "aki", "raw", "qcow2", "iso", "vmdk", "vdi", "vhd", "vhdx"}
)

// Service does what callers ask of images. It is safe for concurrent use.
type Service struct {
	store *store.Store
	clock cloud.Clock
	blobs Blobs
	opts  Options
	defs  *metadef.Service
	visas visas

	// keeping is held while a blob gets its row or loses its last one, so that
	// no blob is removed that an upload has just found to be there already.
	keeping sync.Mutex
}

// New makes the service. Call Recover before the first request.
func New(st *store.Store, clock cloud.Clock, blobs Blobs, opts Options) *Service {
	return &Service{store: st, clock: clock, blobs: blobs, opts: opts.filled(), defs: metadef.New(st, clock)}
}

// Definitions are the metadata definitions, which the Image API has beside images.
func (s *Service) Definitions() *metadef.Service {
	if s == nil {
		return nil // of a route table that is only looked at
	}
	return s.defs
}

// Get gives an image that the caller sees; NotFound.
func (s *Service) Get(ctx context.Context, caller cloud.Caller, id string) (img cloud.Image, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		img, err = visible(tx, caller, id)
		return err
	})
	return img, err
}

// Delete removes an image and, if no other image has the same, its bytes.
// Servers made from it keep theirs: nodes have their own copies. Forbidden while
// it is protected.
func (s *Service) Delete(ctx context.Context, caller cloud.Caller, id string) error {
	var bytes []string
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		img, err := owned(tx, caller, id, "delete_image")
		if err != nil {
			return err
		}
		if img.Protected {
			return cloud.E("image.Delete", cloud.Forbidden, "Image %s is protected and cannot be deleted.", id)
		}
		bytes = digestsOf(img)
		if _, err := tx.ImageMembers.DeleteWhere(store.Eq("image_id", id)); err != nil {
			return err
		}
		if _, err := tx.ImageLogs.DeleteWhere(store.Eq("image_id", id)); err != nil {
			return err
		}
		return tx.Images.Delete(id)
	})
	if err == nil {
		s.dropPart(id)
	}
	if err == nil {
		s.dropUnused(ctx, bytes...)
	}
	return err
}

// digestsOf are the blobs of an image.
func digestsOf(img cloud.Image) (list []string) {
	if img.Digest != "" {
		list = append(list, img.Digest)
	}
	if img.Made != nil {
		list = append(list, img.Made.Digest)
	}
	return list
}

// dropUnused removes blobs that no image has any more. What fails is tried
// again by Recover.
func (s *Service) dropUnused(ctx context.Context, digests ...string) {
	s.keeping.Lock()
	defer s.keeping.Unlock()
	ctx = context.WithoutCancel(ctx) // the image is gone, whether the caller waits or not
	for _, digest := range digests {
		used := false
		err := s.store.View(ctx, func(tx *store.Tx) (err error) {
			used, err = inUse(tx, digest)
			return err
		})
		if err == nil && !used {
			err = s.blobs.Remove(digest)
		}
		if err != nil {
			s.opts.Log.Warn("the bytes of a deleted image stay until the next start", "digest", digest, "error", err)
		}
	}
}

// inUse tells whether an image has a blob: as its data, or made of it.
func inUse(tx *store.Tx, digest string) (bool, error) {
	n, err := tx.Images.Count(store.Eq("digest", digest))
	if n > 0 || err != nil {
		return true, err
	}
	n, err = tx.Images.Count(store.Eq("made_digest", digest))
	return n > 0, err
}

// Deactivate forbids the download of an image's bytes to all but admins.
// Forbidden in other states than active.
func (s *Service) Deactivate(ctx context.Context, caller cloud.Caller, id string) error {
	return s.turn(ctx, caller, id, "deactivate", cloud.ImageDeactivated)
}

// Reactivate takes a deactivation back.
func (s *Service) Reactivate(ctx context.Context, caller cloud.Caller, id string) error {
	return s.turn(ctx, caller, id, "reactivate", cloud.ImageActive)
}

func (s *Service) turn(ctx context.Context, caller cloud.Caller, id, action string, status cloud.ImageStatus) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		img, err := owned(tx, caller, id, action)
		if err != nil {
			return err
		}
		if !slices.Contains([]cloud.ImageStatus{cloud.ImageActive, cloud.ImageDeactivated}, img.Status) {
			return cloud.E("image."+action, cloud.Forbidden, "Not allowed to %s image in status '%s'", action, img.Status)
		}
		img.Status, img.UpdatedAt = status, s.clock.Now()
		return tx.Images.Update(img)
	})
}
