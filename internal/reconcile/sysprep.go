package reconcile

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"hearth/internal/cloud"
	"hearth/internal/disk"
	"hearth/internal/store"
)

// prepared copies the disk of a server to a file of the head, takes out what
// makes it that one guest, and names the file. The caller removes it, after an
// error too; what a crash leaves, the next try replaces.
func (k *Housekeeper) prepared(ctx context.Context, image string, open func() (io.ReadCloser, error)) (path string, err error) {
	if k.Prepare == nil {
		return "", &disk.Error{Kind: disk.Unsupported, Op: "sysprep", Reason: "this head has no kitchen"}
	}
	if err := os.MkdirAll(k.Scratch, 0o700); err != nil {
		return "", err
	}
	path = filepath.Join(k.Scratch, "snapshot-"+image)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return path, err
	}
	if err := copyDisk(ctx, path, open); err != nil {
		return path, err
	}
	return path, k.Prepare(ctx, path)
}

// copyDisk writes a disk to a new file, without its zeros.
func copyDisk(ctx context.Context, path string, open func() (io.ReadCloser, error)) error {
	src, err := open()
	if err != nil {
		return err
	}
	defer src.Close()
	return disk.CopySparse(ctx, path, src)
}

// refuseImage ends an image that cannot be made, and says why in a property: it
// has no bytes and never will.
func (k *Housekeeper) refuseImage(ctx context.Context, id string, reason error) error {
	k.Log.Warn("an image of a server cannot be prepared", "image", id, "error", reason)
	return k.Store.Update(ctx, func(tx *store.Tx) error {
		img, err := tx.Images.Get(id)
		if err != nil {
			return unlessGone(err)
		}
		img.Status, img.UpdatedAt = cloud.ImageKilled, k.Clock.Now()
		if img.Properties == nil {
			img.Properties = map[string]string{}
		}
		img.Properties[cloud.PropertySysprep+"_error"] = reason.Error()
		return tx.Images.Update(img)
	})
}
