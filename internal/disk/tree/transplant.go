package tree

import (
	"context"
	"errors"
	"os"

	"hearth/internal/disk"
)

// Transplant replaces the ext4 file system that is the whole of the file image by one
// of another kind (see [disk.FSKinds]) with the same tree, of o.Size bytes, with o.Label
// and o.UUID. Together with [MakeExt] it makes any file system of entries. TooBig if
// the tree has no room there; ToolMissing if nobody can fill such a file system.
func Transplant(ctx context.Context, run *disk.Runner, image, kind string, o disk.ExtOptions) error {
	if run.FileSystems == nil {
		return &disk.Error{Kind: disk.ToolMissing, Op: "fill file system", Reason: kind + " is filled by the appliance alone, which is not used here"}
	}
	st, err := os.Stat(image)
	if err != nil {
		return err
	}
	made := image + ".new"
	if err := run.MakeFS(ctx, made, kind, o); err != nil {
		return err
	}
	at := func(path, kind string, size int64) disk.FileSystem {
		return disk.FileSystem{Layer: disk.Layer{Path: path, Format: disk.Raw}, Size: size, Kind: kind}
	}
	if _, err := run.FileSystems.Copy(ctx, at(image, "ext4", st.Size()), at(made, kind, o.Size)); err != nil {
		return errors.Join(err, os.Remove(made))
	}
	return os.Rename(made, image)
}
