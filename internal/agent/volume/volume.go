// Package volume keeps the disks of volumes and snapshots on a node. There is no
// list of what is wanted: a disk is made when the head asks for it, whole or not
// at all, and stays until the head asks for its removal. So there is nothing to
// go wrong when the agent dies, and a volume is never taken for a leftover.
package volume

import (
	"context"
	"io"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
)

// Images is where the bytes of images come from.
type Images interface {
	// Open gives the bytes of a digest.
	Open(ctx context.Context, digest string) (io.ReadCloser, error)
}

// localImages are Images that are files of this host.
type localImages interface {
	Path(digest string) (string, error)
}

// Guests are those who have volumes of this node open: its own guests, and others'.
type Guests interface {
	// Renew calls fn while no guest of another node has a disk open, which they do
	// again afterwards.
	Renew(ctx context.Context, disk string, fn func() error) error
	// Withdraw takes a disk from the guests of other nodes for good.
	Withdraw(ctx context.Context, disk string) error
	// GrowVolume makes a disk larger by the guest that has it; false when none does.
	GrowVolume(ctx context.Context, disk string, size int64) (bool, error)
	// Quiesce calls fn while no guest writes to a disk.
	Quiesce(ctx context.Context, disk string, fn func() error) error
}

// Manager keeps volumes. It is safe for concurrent use.
type Manager struct {
	storage storage.Driver
	images  Images
	guests  func() Guests
}

// New makes a manager over a storage driver. guests gives those that may have
// volumes open.
func New(st storage.Driver, images Images, guests func() Guests) *Manager {
	return &Manager{st, images, guests}
}

// Is tells whether a disk is a volume's or a snapshot's, by its name.
func Is(disk string) bool {
	return strings.HasPrefix(disk, cloud.VolumeDisk("")) || strings.HasPrefix(disk, cloud.SnapshotDisk(""))
}

// mine refuses names that are not of volumes and snapshots.
func mine(op, id string) error {
	if !Is(id) {
		return cloud.E(op, cloud.Invalid, "%q is not the disk of a volume or snapshot", id)
	}
	return nil
}

// Apply makes the disk of a spec, or makes it larger, and returns when it is
// there. It can be repeated at will.
func (m *Manager) Apply(ctx context.Context, spec cloud.VolumeSpec) (cloud.VolumeStatus, error) {
	if err := mine("volume.Apply", spec.ID); err != nil {
		return cloud.VolumeStatus{}, err
	}
	if spec.Replace {
		disk, err := m.replace(ctx, spec)
		return status(disk), err
	}
	if spec.Adopt != "" {
		if err := mine("volume.Apply", spec.Adopt); err != nil {
			return cloud.VolumeStatus{}, err
		}
		if _, err := m.storage.AdoptDisk(ctx, spec.ID, spec.Adopt); err != nil {
			return cloud.VolumeStatus{}, err
		}
	}
	disk, err := m.storage.Disk(ctx, spec.ID)
	if cloud.Is(err, cloud.NotFound) && !spec.Made {
		disk, err = m.makeWhole(ctx, spec)
	}
	if err == nil {
		disk, err = m.grow(ctx, spec, disk)
	}
	return status(disk), err
}

// grow makes a disk as large as its spec, under a guest that may have it open. A
// disk with a format of its own is made larger by the guest, which alone may write its
// header, and that is noted. A raw one may be a device of the host, which no guest can
// make larger: it is made so first and then told to the guest, every time, for an
// agent may have ended between the two.
func (m *Manager) grow(ctx context.Context, spec cloud.VolumeSpec, disk storage.Disk) (storage.Disk, error) {
	if disk.Format != "raw" {
		if disk.Size >= spec.SizeBytes {
			return disk, nil
		}
		if _, err := m.guests().GrowVolume(ctx, spec.ID, spec.SizeBytes); err != nil {
			return disk, err
		}
		return m.enlarge(ctx, spec, disk)
	}
	if disk.Size < spec.SizeBytes {
		grown, err := m.enlarge(ctx, spec, disk)
		if err != nil {
			return disk, err
		}
		disk = grown
	}
	_, err := m.guests().GrowVolume(ctx, spec.ID, spec.SizeBytes)
	return disk, err
}

// enlarge has the storage make a disk larger. Guests of other nodes, who may have it
// open, are told by the head when it is.
func (m *Manager) enlarge(ctx context.Context, spec cloud.VolumeSpec, disk storage.Disk) (storage.Disk, error) {
	err := m.guests().Renew(ctx, spec.ID, func() error {
		grown, err := m.storage.GrowDisk(ctx, spec.ID, spec.SizeBytes)
		if err == nil {
			disk = grown
		}
		return err
	})
	return disk, err
}

// replace gives a disk, which need not be there, other content.
func (m *Manager) replace(ctx context.Context, spec cloud.VolumeSpec) (disk storage.Disk, err error) {
	switch {
	case spec.Content != "":
		return m.write(ctx, spec)
	case spec.Image != nil:
		return storage.Exchange(ctx, m.storage, spec.ID, func(beside string) (storage.Disk, error) {
			sown := spec
			sown.ID = beside
			return m.makeWhole(ctx, sown)
		})
	case spec.From == "":
		return disk, cloud.E("volume.Apply", cloud.Invalid, "nothing is named that the disk %s is to hold", spec.ID)
	}
	if err := mine("volume.Apply", spec.From); err != nil {
		return disk, err
	}
	disk, err = m.storage.RevertDisk(ctx, spec.ID, spec.From)
	if err == nil && disk.Size < spec.SizeBytes {
		disk, err = m.storage.GrowDisk(ctx, spec.ID, spec.SizeBytes)
	}
	return disk, err
}

// write makes a disk of bytes that the head gives.
func (m *Manager) write(ctx context.Context, spec cloud.VolumeSpec) (storage.Disk, error) {
	src, err := m.images.Open(ctx, spec.Content)
	if err != nil {
		return storage.Disk{}, err
	}
	defer src.Close()
	return m.storage.WriteDisk(ctx, spec.ID, spec.SizeBytes, src)
}

// makeWhole is make, for a spec that wants it with nothing beneath the disk: what
// reads from an image as it goes is written out.
func (m *Manager) makeWhole(ctx context.Context, spec cloud.VolumeSpec) (storage.Disk, error) {
	if !spec.Whole || spec.Image == nil && spec.From == "" || spec.Key != "" { // what is encrypted is whole
		return m.make(ctx, spec)
	}
	sown := spec
	sown.ID = storage.Beside(spec.ID)
	from, err := m.make(ctx, sown)
	if err != nil {
		return from, err
	}
	if from.Backing == "" {
		return m.storage.AdoptDisk(ctx, spec.ID, from.ID)
	}
	src, err := m.storage.ReadDisk(ctx, from.ID)
	if err != nil {
		return from, err
	}
	defer src.Close()
	disk, err := m.storage.WriteDisk(ctx, spec.ID, max(spec.SizeBytes, from.Size), src)
	if err == nil {
		err = m.storage.RemoveDisk(ctx, from.ID)
	}
	return disk, err
}

func (m *Manager) make(ctx context.Context, spec cloud.VolumeSpec) (storage.Disk, error) {
	switch {
	case spec.Key != "":
		return m.encrypt(ctx, spec)
	case spec.Image != nil:
		path := ""
		if local, ok := m.images.(localImages); ok {
			if p, err := local.Path(spec.Image.Digest); err == nil {
				path = p
			}
		}
		img, err := m.storage.EnsureImage(ctx, *spec.Image, path, func() (io.ReadCloser, error) { return m.images.Open(ctx, spec.Image.Digest) })
		if err != nil {
			return storage.Disk{}, err
		}
		return m.storage.CloneDisk(ctx, spec.ID, img, spec.SizeBytes)
	case spec.From != "":
		copied := m.storage.CopyDisk
		if cloud.IsServerRootDisk(spec.From) { // it becomes a volume; its file system is to fill that
			copied = m.storage.CopyRoot
		} else if err := mine("volume.Apply", spec.From); err != nil {
			return storage.Disk{}, err
		}
		var disk storage.Disk
		err := m.guests().Quiesce(ctx, spec.From, func() (err error) {
			disk, err = copied(ctx, spec.ID, spec.From, spec.SizeBytes)
			return err
		})
		return disk, err
	}
	if spec.Content != "" {
		return m.write(ctx, spec)
	}
	return m.storage.BlankDisk(ctx, spec.ID, spec.SizeBytes, spec.Label)
}

func status(d storage.Disk) cloud.VolumeStatus {
	return cloud.VolumeStatus{ID: d.ID, Path: d.Path, Format: d.Format, SizeBytes: d.Size}
}

// Remove removes a disk. No error when it is gone.
func (m *Manager) Remove(ctx context.Context, id string) error {
	if err := mine("volume.Remove", id); err != nil {
		return err
	}
	if err := m.guests().Withdraw(ctx, id); err != nil {
		return err
	}
	if err := storage.RemoveBeside(ctx, m.storage, id); err != nil {
		return err
	}
	return m.storage.RemoveDisk(ctx, id)
}

// Read gives what a disk holds; NotFound.
func (m *Manager) Read(ctx context.Context, id string) (io.ReadCloser, error) {
	if err := mine("volume.Read", id); err != nil && !cloud.IsServerSnapshotDisk(id) {
		return nil, err
	}
	var disk io.ReadCloser
	err := m.guests().Quiesce(ctx, id, func() (err error) {
		disk, err = m.storage.ReadDisk(ctx, id)
		return err
	})
	return disk, err
}

// Statuses lists the disks of volumes and snapshots, sorted.
func (m *Manager) Statuses(ctx context.Context) ([]cloud.VolumeStatus, error) {
	disks, err := m.storage.Disks(ctx)
	if err != nil {
		return nil, err
	}
	out := []cloud.VolumeStatus{}
	for _, d := range disks {
		if Is(d.ID) && !storage.IsBeside(d.ID) {
			out = append(out, status(d))
		}
	}
	return out, nil
}
