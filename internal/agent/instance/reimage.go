package instance

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
)

// reimagedName is a file in an instance's folder that tells the turn for which its
// boot volume was given an image anew. It is beside the record: one that cannot be
// read must not have the volume wiped again.
const reimagedName = "reimaged.json"

// reimage gives the volume that an instance boots from what an image holds, once
// for a turn. When that fails, the volume has what it had.
func (w *worker) reimage(ctx context.Context, spec cloud.InstanceSpec) error {
	v, turn := spec.BootVolume(), int64(-1)
	raw, err := os.ReadFile(filepath.Join(w.dir, reimagedName))
	if err == nil {
		err = json.Unmarshal(raw, &turn)
	}
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return hostError("instance.reimage", err)
	case turn == spec.Intent.Disk.Turn:
		return nil
	}
	disk, err := w.m.Storage.Disk(ctx, v.Disk)
	if err != nil && !cloud.Is(err, cloud.NotFound) { // not there: it was exchanged here when the agent was killed
		return err
	}
	img, err := w.image(ctx, *v.Image)
	if err != nil {
		return err
	}
	size := max(disk.Size, int64(v.SizeGB)*gib)
	if size < img.VirtualSize {
		return cloud.E("instance.reimage", cloud.Invalid, "the image needs %d bytes, and the volume %s has %d", img.VirtualSize, v.VolumeID, size)
	}
	w.m.Hook("instance.reimage.before")
	if _, err := storage.Exchange(ctx, w.m.Storage, v.Disk, func(beside string) (storage.Disk, error) {
		disk, err := w.m.Storage.CloneDisk(ctx, beside, img, size)
		w.m.Hook("instance.reimage.made")
		return disk, err
	}); err != nil {
		return err
	}
	w.m.Hook("instance.reimage.after")
	return hostError("instance.reimage", w.m.write(w.dir, reimagedName, spec.Intent.Disk.Turn, true))
}
