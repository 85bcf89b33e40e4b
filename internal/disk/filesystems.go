package disk

import (
	"context"
	"os"
)

// FileSystem is one file system within an image.
type FileSystem struct {
	Layer        Layer    // of one file, Raw or QCOW2
	File         *os.File // the open raw disk, in place of Layer.Path: others may not see that name
	Offset, Size int64    // where it lies in the disk, bytes; whole sectors
	Kind         string
	UUID         string
	Over         string // a redo log that takes what Edit writes; it is made. "": that goes to the image itself
	Tree         bool   // of a btrfs: as its guest sees it, with the subvolumes that its /etc/fstab mounts
}

// FSUse is what a file system has after a work on it, in bytes.
type FSUse struct {
	Size, Used int64
	Notes      []string
}

// FileSystems works on file systems that nothing on the host reads: XFS, btrfs, f2fs. What
// they are is believed to the one who works on them alone. Errors are of kind
// Refused (it is broken), TooBig (no room), ToolFailed or TimedOut.
type FileSystems interface {
	// Copy copies the tree of from, which is only read, to the empty file system to.
	Copy(ctx context.Context, from, to FileSystem) (FSUse, error)
	// Edit carries out commands of debugfs; the files that they name lie in dir, and nothing else.
	Edit(ctx context.Context, fs FileSystem, dir, script string) error
	// Grow lets a file system have all of its place.
	Grow(ctx context.Context, fs FileSystem) (FSUse, error)
	// Shrink moves what a btrfs has to its beginning; its Size then is how much it needs.
	Shrink(ctx context.Context, fs FileSystem) (FSUse, error)
}
