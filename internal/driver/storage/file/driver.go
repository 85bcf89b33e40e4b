// Package file keeps images and disks in folders of this host.
//
// An image is cached once, as raw and sparse. A disk is a copy-on-write clone of
// it: a reflink where the file system can share blocks (XFS, Btrfs, bcachefs),
// else a qcow2 overlay. When a disk is to be larger than its image, partition
// and file system are grown once per image and size, on a clone that stays in
// the cache as a mold; every further disk of that size is a copy of the mold,
// which holds but the few megabytes that growing wrote.
//
// Everything is made in a temporary folder and renamed into its place when it is
// whole. What a crash leaves in the temporary folder is swept by New.
package file

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"hearth/internal/driver/storage"
	"hearth/internal/driver/storage/namelock"
)

// Paths are the folders the driver works in, absolute and on one file system.
type Paths struct {
	Images string // one folder for each cached image, named by its digest
	Disks  string // one folder for each disk, named by its id
	Tmp    string // what is being made; emptied at start
}

// Layer is one file of a disk, with its format, which is never guessed.
type Layer struct{ Path, Format string }

// Kitchen is what the driver asks of the disk room: work on the insides of
// images, without mounting them. Paths are absolute; sizes are bytes. Errors are
// cloud's: Invalid for bytes that are refused, Unavailable for what may work
// later.
type Kitchen interface {
	// ToRaw writes the image src, of the format named, to the new file dst as
	// raw and sparse.
	ToRaw(ctx context.Context, src, format, dst string) error
	// Grow gives the disk of a chain (the layer to change first, what is below
	// after it) the size, grows its last partition and the ext file system in
	// it, and says in words what was grown or why nothing was.
	Grow(ctx context.Context, chain []Layer, size int64) (grown string, err error)
	// Resize gives the disk of a chain a larger size, and leaves what is on it.
	Resize(ctx context.Context, chain []Layer, size int64) error
	// Flatten writes what a guest sees of a chain to the new file dst, raw and
	// sparse.
	Flatten(ctx context.Context, chain []Layer, dst string) error
	// Ext4 and Swap format a whole raw file.
	Ext4(ctx context.Context, path, label string) error
	Swap(ctx context.Context, path string) error
	// ConfigDrive writes an ISO 9660 image labelled config-2 to a new file.
	ConfigDrive(ctx context.Context, path string, files map[string][]byte) error
}

// Config is what a Driver is made of.
type Config struct {
	Paths   Paths
	Kitchen Kitchen
	// NoSync leaves out fsync: for tests, whose disks need not outlive a power
	// failure.
	NoSync bool
	// NoReflink takes overlays even where the file system could share blocks.
	NoReflink bool
}

// Driver keeps images and disks in folders. It is safe for concurrent use; one
// process at a time may have the folders.
type Driver struct {
	Config
	reflink bool
	locks   namelock.Locks
	holds   holds
	serial  atomic.Int64
	// ask is whether a mold of so many bytes may be kept; nil: any may.
	ask func(ctx context.Context, bytes int64) (done func(), ok bool)
}

var (
	_ storage.Driver = (*Driver)(nil)
	_ storage.Keeper = (*Driver)(nil)
)

// New makes the folders, sweeps what a crash left, and probes for reflinks.
func New(cfg Config) (*Driver, error) {
	d := &Driver{Config: cfg}
	if err := os.RemoveAll(cfg.Paths.Tmp); err != nil {
		return nil, hostError("storage.New", err)
	}
	for _, dir := range []string{cfg.Paths.Images, cfg.Paths.Disks, cfg.Paths.Tmp} {
		// Kernels are read by guests' own users, who must pass through.
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return nil, hostError("storage.New", err)
		}
	}
	if !cfg.NoReflink {
		d.reflink = probeReflink(cfg.Paths.Tmp)
	}
	return d, nil
}

// Reflink tells whether disks are clones by shared blocks rather than overlays.
func (d *Driver) Reflink() bool { return d.reflink }

func (d *Driver) imageDir(digest string) (string, error) {
	if err := storage.CheckDigest("storage.Image", digest); err != nil {
		return "", err
	}
	return filepath.Join(d.Paths.Images, strings.TrimPrefix(digest, "sha512:")), nil
}

func (d *Driver) diskDir(id string) (string, error) {
	if err := storage.CheckID("storage.Disk", id); err != nil {
		return "", err
	}
	return filepath.Join(d.Paths.Disks, id), nil
}

// workDir makes a fresh folder in Tmp.
func (d *Driver) workDir(name string) (string, error) {
	dir := filepath.Join(d.Paths.Tmp, fmt.Sprintf("%s.%d", name, d.serial.Add(1)))
	if err := os.Mkdir(dir, 0o711); err != nil {
		return "", hostError("storage.Tmp", err)
	}
	return dir, nil
}
