package storagetest

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
)

// Scope is a driver as the suite sees it in a backend that has disks of others: its
// own have a prefix, and it sees no others. So a backend that is in use can be tried.
type Scope struct {
	storage.Driver
	mu     sync.Mutex
	images map[string]bool // digests of the suite's
}

// Within makes a scope of a driver.
func Within(d storage.Driver) *Scope { return &Scope{Driver: d, images: map[string]bool{}} }

const prefix = "driver-test-"

// in is a name within the scope. One that no disk may have is left as it is, so that
// the driver refuses it.
func in(id string) string {
	if id == "" || strings.Trim(id[:1], "abcdefghijklmnopqrstuvwxyz") != "" {
		return id
	}
	return prefix + id
}

// out gives a disk the name that it was asked for under.
func out(d storage.Disk, err error) (storage.Disk, error) {
	d.ID = strings.TrimPrefix(d.ID, prefix)
	return d, err
}

// Clear removes what the suite has made, in this run or one that broke off.
func (s *Scope) Clear(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	disks, err := s.Disks(ctx)
	for _, d := range disks {
		err = errors.Join(err, s.RemoveDisk(ctx, d.ID))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for digest := range s.images {
		err = errors.Join(err, s.Driver.RemoveImage(ctx, digest))
		delete(s.images, digest)
	}
	return err
}

// EnsureImage implements storage.Driver. The suite's images have contents that no
// other has: one that is there is of a run that broke off.
func (s *Scope) EnsureImage(ctx context.Context, ref cloud.ImageRef, localPath string, open func() (io.ReadCloser, error)) (storage.Image, error) {
	s.mu.Lock()
	if !s.images[ref.Digest] && s.Driver.RemoveImage(context.WithoutCancel(ctx), ref.Digest) == nil {
		s.images[ref.Digest] = true
	}
	s.mu.Unlock()
	return s.Driver.EnsureImage(ctx, ref, localPath, open)
}

// Images implements storage.Driver: those of the suite.
func (s *Scope) Images(ctx context.Context) (list []storage.Image, err error) {
	all, err := s.Driver.Images(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, img := range all {
		if s.images[img.Digest] {
			list = append(list, img)
		}
	}
	return list, err
}

// Disks implements storage.Driver: those of the suite.
func (s *Scope) Disks(ctx context.Context) (list []storage.Disk, err error) {
	all, err := s.Driver.Disks(ctx)
	for _, d := range all {
		if strings.HasPrefix(d.ID, prefix) {
			d, _ = out(d, nil)
			list = append(list, d)
		}
	}
	return list, err
}

// CloneDisk implements storage.Driver.
func (s *Scope) CloneDisk(ctx context.Context, id string, image storage.Image, size int64) (storage.Disk, error) {
	return out(s.Driver.CloneDisk(ctx, in(id), image, size))
}

// BlankDisk implements storage.Driver.
func (s *Scope) BlankDisk(ctx context.Context, id string, size int64, label string) (storage.Disk, error) {
	return out(s.Driver.BlankDisk(ctx, in(id), size, label))
}

// ConfigDrive implements storage.Driver.
func (s *Scope) ConfigDrive(ctx context.Context, id string, files map[string][]byte) (storage.Disk, error) {
	return out(s.Driver.ConfigDrive(ctx, in(id), files))
}

// CopyDisk implements storage.Driver.
func (s *Scope) CopyDisk(ctx context.Context, id, from string, size int64) (storage.Disk, error) {
	return out(s.Driver.CopyDisk(ctx, in(id), in(from), size))
}

// CopyRoot implements storage.Driver.
func (s *Scope) CopyRoot(ctx context.Context, id, from string, size int64) (storage.Disk, error) {
	return out(s.Driver.CopyRoot(ctx, in(id), in(from), size))
}

// GrowDisk implements storage.Driver.
func (s *Scope) GrowDisk(ctx context.Context, id string, size int64) (storage.Disk, error) {
	return out(s.Driver.GrowDisk(ctx, in(id), size))
}

// ReadDisk implements storage.Driver.
func (s *Scope) ReadDisk(ctx context.Context, id string) (io.ReadCloser, error) {
	return s.Driver.ReadDisk(ctx, in(id))
}

// WriteDisk implements storage.Driver.
func (s *Scope) WriteDisk(ctx context.Context, id string, size int64, src io.Reader) (storage.Disk, error) {
	return out(s.Driver.WriteDisk(ctx, in(id), size, src))
}

// RevertDisk implements storage.Driver.
func (s *Scope) RevertDisk(ctx context.Context, id, from string) (storage.Disk, error) {
	return out(s.Driver.RevertDisk(ctx, in(id), in(from)))
}

// AdoptDisk implements storage.Driver.
func (s *Scope) AdoptDisk(ctx context.Context, id, from string) (storage.Disk, error) {
	return out(s.Driver.AdoptDisk(ctx, in(id), in(from)))
}

// Disk implements storage.Driver.
func (s *Scope) Disk(ctx context.Context, id string) (storage.Disk, error) {
	return out(s.Driver.Disk(ctx, in(id)))
}

// RemoveDisk implements storage.Driver.
func (s *Scope) RemoveDisk(ctx context.Context, id string) error {
	return s.Driver.RemoveDisk(ctx, in(id))
}
