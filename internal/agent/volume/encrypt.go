package volume

import (
	"bytes"
	"context"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/disk/luks"
	"hearth/internal/driver/storage"
)

// encrypt makes an encrypted disk, of nothing, or of what the same spec would make in
// the clear: that is made beside it first, a little smaller, read through the cipher,
// and removed. What is in the clear there is an image's, or an empty file system.
func (m *Manager) encrypt(ctx context.Context, spec cloud.VolumeSpec) (storage.Disk, error) {
	if spec.SizeBytes <= luks.HeaderSize {
		return storage.Disk{}, cloud.E("volume.Apply", cloud.Invalid, "an encrypted disk of %d bytes has no room for its own header", spec.SizeBytes)
	}
	name, _ := cloud.DiskPool(spec.ID)
	id, _, _ := strings.Cut(strings.TrimPrefix(name, cloud.VolumeDisk("")), ".") // of one that is made beside, the volume's own
	if spec.Image == nil && spec.Label == "" {
		disk, err := luks.Format(string(spec.Key), id, spec.KeyBits, bytes.NewReader(nil))
		if err != nil {
			return storage.Disk{}, err
		}
		return m.storage.WriteDisk(ctx, spec.ID, spec.SizeBytes, disk)
	}
	clear := spec
	clear.ID, clear.Key, clear.SizeBytes = storage.Beside(spec.ID), "", spec.SizeBytes-luks.HeaderSize
	from, err := m.make(ctx, clear)
	if err != nil {
		return from, err
	}
	src, err := m.storage.ReadDisk(ctx, from.ID)
	if err != nil {
		return from, err
	}
	defer src.Close()
	ciphered, err := luks.Format(string(spec.Key), id, spec.KeyBits, src)
	if err != nil {
		return from, err
	}
	disk, err := m.storage.WriteDisk(ctx, spec.ID, spec.SizeBytes, ciphered)
	if err == nil {
		err = m.storage.RemoveDisk(ctx, from.ID)
	}
	return disk, err
}
