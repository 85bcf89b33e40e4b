package file

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
)

// dataName is the file of an image in its folder.
const dataName = "data"

// EnsureImage implements storage.Driver. The bytes of a local path are taken as
// checked: it is the head's store, which names files by what they hold.
func (d *Driver) EnsureImage(ctx context.Context, ref cloud.ImageRef, localPath string, open func() (io.ReadCloser, error)) (storage.Image, error) {
	const op = "storage.EnsureImage"
	place, err := d.imageDir(ref.Digest)
	if err != nil {
		return storage.Image{}, err
	}
	unlock, err := d.locks.Lock(ctx, ref.Digest)
	if err != nil {
		return storage.Image{}, hostError(op, err)
	}
	defer unlock()
	if img, err := readImage(place); err == nil {
		now := time.Now()
		return img.As(ref.Format), hostError(op, os.Chtimes(filepath.Join(place, metaName), now, now))
	} else if !errors.Is(err, fs.ErrNotExist) {
		return storage.Image{}, hostError(op, err)
	}
	img, err := d.makeImage(ctx, place, ref, localPath, open)
	return img.As(ref.Format), hostError(op, err)
}

func (d *Driver) makeImage(ctx context.Context, place string, ref cloud.ImageRef, localPath string, open func() (io.ReadCloser, error)) (storage.Image, error) {
	work, err := d.workDir("image")
	if err != nil {
		return storage.Image{}, err
	}
	defer os.RemoveAll(work)
	if err := d.fill(ctx, work, ref, localPath, open); err != nil {
		return storage.Image{}, err
	}
	data := filepath.Join(work, dataName)
	fi, err := os.Stat(data)
	if err != nil {
		return storage.Image{}, err
	}
	img := storage.Image{Digest: ref.Digest, Path: filepath.Join(place, dataName), Format: "raw", VirtualSize: fi.Size()}
	return img, d.publish(work, place, img)
}

// fill makes the data file in the work folder: linked or copied as it is, or
// converted to raw.
func (d *Driver) fill(ctx context.Context, work string, ref cloud.ImageRef, localPath string, open func() (io.ReadCloser, error)) error {
	data := filepath.Join(work, dataName)
	asIs, err := storage.AsIs(ref)
	switch {
	case err != nil:
		return err
	case asIs && localPath != "":
		return d.link(ctx, localPath, data)
	case asIs:
		err = fetch(ctx, ref, open, data)
	case localPath != "":
		err = d.Kitchen.ToRaw(ctx, localPath, ref.Format, data)
	default:
		src := filepath.Join(work, "source")
		if err = fetch(ctx, ref, open, src); err == nil {
			defer os.Remove(src)
			err = d.Kitchen.ToRaw(ctx, src, ref.Format, data)
		}
	}
	if err != nil {
		return err
	}
	return os.Chmod(data, 0o644)
}

// link makes dst have the bytes of the host's file src without writing them:
// shared blocks, else the same file by another name, else a copy.
func (d *Driver) link(ctx context.Context, src, dst string) error {
	if d.reflink && reflinkFile(src, dst) == nil {
		return os.Chmod(dst, 0o644)
	}
	if os.Link(src, dst) == nil {
		return nil
	}
	if _, err := os.Stat(src); err != nil {
		return cloud.E("storage.EnsureImage", cloud.Unavailable, "the image store's file cannot be read: %w", err)
	}
	if err := d.copyFile(ctx, src, dst); err != nil {
		return err
	}
	return os.Chmod(dst, 0o644)
}

// readImage reads the record of a cached image. The path is where the folder
// is now, for the whole of --data may have been moved.
func readImage(place string) (storage.Image, error) {
	var img storage.Image
	err := readMeta(place, &img)
	img.Path = filepath.Join(place, dataName)
	return img, err
}

// Images implements storage.Driver.
func (d *Driver) Images(context.Context) ([]storage.Image, error) {
	entries, err := os.ReadDir(d.Paths.Images)
	if err != nil {
		return nil, hostError("storage.Images", err)
	}
	var out []storage.Image
	for _, e := range entries {
		place := filepath.Join(d.Paths.Images, e.Name())
		if img, err := readImage(place); err == nil {
			img.Bytes, img.UsedAt = weigh(place)
			out = append(out, img)
		}
	}
	return out, nil
}

// weigh is what the files of an image's folder take, in bytes, and when its record was
// written or touched last. A file that goes meanwhile takes none.
func weigh(place string) (bytes int64, used time.Time) {
	entries, _ := os.ReadDir(place)
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			bytes += st.Blocks * 512
		}
		if e.Name() == metaName {
			used = info.ModTime()
		}
	}
	return bytes, used
}

// RemoveImage implements storage.Driver.
func (d *Driver) RemoveImage(ctx context.Context, digest string) error {
	const op = "storage.RemoveImage"
	place, err := d.imageDir(digest)
	if err != nil {
		return err
	}
	unlock, err := d.locks.Lock(ctx, digest)
	if err != nil {
		return hostError(op, err)
	}
	defer unlock()
	disks, err := d.Disks(ctx)
	if err != nil {
		return err
	}
	for _, disk := range disks {
		if filepath.Dir(disk.Backing) == place {
			return cloud.E(op, cloud.Conflict, "the disk %s still reads from image %s", disk.ID, digest)
		}
	}
	if d.holds.held(digest) {
		return cloud.E(op, cloud.Conflict, "image %s is being cloned just now", digest)
	}
	return hostError(op, d.retire(place))
}
