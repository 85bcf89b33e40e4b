// Package storage is the tool that keeps images and disks on a node. file does
// it in a folder, with reflinks where the file system has them and qcow2
// overlays elsewhere; fake does it in memory; storagetest is the suite that
// both pass.
package storage

import (
	"context"
	"io"
	"time"

	"hearth/internal/cloud"
)

// Driver keeps a cache of images by digest and the disks cloned from them.
// Every call is idempotent and leaves no half: a file appears whole, under its
// name, or not at all.
type Driver interface {
	// EnsureImage brings an image into the cache unless it is there. open gives
	// its bytes; they are checked against the digest. A local path, where the
	// bytes are a file of this host already, saves the copy ("" for none).
	EnsureImage(ctx context.Context, ref cloud.ImageRef, localPath string, open func() (io.ReadCloser, error)) (Image, error)
	// CloneDisk makes the disk id as a copy-on-write clone of a cached image,
	// size bytes large (0: as the image), with partition and ext file system
	// grown to it. Unknown contents are cloned and left as they are.
	CloneDisk(ctx context.Context, id string, image Image, size int64) (Disk, error)
	// BlankDisk makes an empty disk; label, if given, is the label of an ext4
	// file system on it ("" for none, "swap" for swap space).
	BlankDisk(ctx context.Context, id string, size int64, label string) (Disk, error)
	// ConfigDrive makes an ISO 9660 image labelled config-2 with the files.
	ConfigDrive(ctx context.Context, id string, files map[string][]byte) (Disk, error)
	// CopyDisk makes the disk id with what the disk from holds now, which nobody
	// writes to meanwhile, size bytes large (0: as from). Both live on
	// independently. NotFound without from, Invalid when size is below from's.
	CopyDisk(ctx context.Context, id, from string, size int64) (Disk, error)
	// CopyRoot is CopyDisk for a disk that a guest starts from: its last partition and
	// the ext file system in it fill the copy, as with CloneDisk.
	CopyRoot(ctx context.Context, id, from string, size int64) (Disk, error)
	// GrowDisk makes a disk at least size bytes large; what it holds stays as it is.
	// While a guest has it open, the guest makes it so first, and this notes it.
	// NotFound.
	GrowDisk(ctx context.Context, id string, size int64) (Disk, error)
	// ReadDisk gives what a disk holds, as a guest sees it, from its first to its
	// last byte. Later changes are not in it. NotFound.
	ReadDisk(ctx context.Context, id string) (io.ReadCloser, error)
	// WriteDisk gives the disk id what src has, size bytes at the most and zeros
	// after it. A disk that is there, which nobody has open, is replaced when all is
	// written; when src fails, it stays as it was.
	WriteDisk(ctx context.Context, id string, size int64, src io.Reader) (Disk, error)
	// RevertDisk gives the disk id what the disk from holds, and its size, in place
	// of what it held. Nobody has it open. NotFound without from.
	RevertDisk(ctx context.Context, id, from string) (Disk, error)
	// AdoptDisk gives the disk from the name id, and keeps what it holds. Once it is
	// done it is no error to ask for it again. NotFound; Conflict when both are there.
	AdoptDisk(ctx context.Context, id, from string) (Disk, error)
	// Disk finds a disk; NotFound.
	Disk(ctx context.Context, id string) (Disk, error)
	// RemoveDisk removes a disk. No error when it is gone.
	RemoveDisk(ctx context.Context, id string) error
	// Disks and Images list what there is, sorted.
	Disks(ctx context.Context) ([]Disk, error)
	Images(ctx context.Context) ([]Image, error)
	// RemoveImage drops an image from the cache; Conflict while a disk needs it.
	RemoveImage(ctx context.Context, digest string) error
	// Usage is the size and the free space of where disks are, in bytes.
	Usage(ctx context.Context) (total, free int64, err error)
}

// Image is an image in the cache.
type Image struct {
	Digest, Path, Format string // Format is raw, whatever the source was, or the source's for kernels and ISOs
	VirtualSize          int64  // bytes
	// Bytes is what it takes on this host, with what is kept beside it; UsedAt is when it was
	// asked for last. Both as Images lists them, and zero with drivers that cannot tell.
	Bytes  int64     `json:"-"`
	UsedAt time.Time `json:"-"`
}

// Keeper is a driver that keeps more in its cache than images, such as copies with the file
// system grown.
type Keeper interface {
	// KeepIf has the driver ask before so many bytes are kept that could be made anew.
	// done is called when they lie in the cache, or will not. It is told before any other call.
	KeepIf(ask func(ctx context.Context, bytes int64) (done func(), ok bool))
}

// Disk is a disk or config drive of an instance.
type Disk struct {
	ID, Path, Format string // raw or qcow2
	Size             int64  // virtual, bytes
	Backing          string // path of the cached image beneath an overlay; "" for none
	Grown            string // what was grown: "", "partition and ext4", …, or why not
}
