package tree

import (
	"bytes"
	"context"
	"time"

	"hearth/internal/disk/fat"
)

// maxFAT is the largest file of a FAT that is read, in bytes.
const maxFAT = 1 << 30

type fatTree struct{ f *fat.FS }

// FromFAT is the tree of a FAT, all of it root's, as Linux shows it: nobody else may
// write to its files.
func FromFAT(f *fat.FS) Source { return fatTree{f} }

// Walk implements [Source].
func (t fatTree) Walk(ctx context.Context, visit Visit) error {
	if err := visit(&Entry{Path: "/", Mode: TypeDir | 0o755, MTime: time.Unix(0, 0)}, nil); err != nil {
		return err
	}
	return t.f.Walk(func(name string, e fat.Entry) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		made := &Entry{Path: name, Mode: TypeDir | 0o755, MTime: e.Time}
		if e.Dir {
			return visit(made, nil)
		}
		b, err := t.f.ReadFile(name, maxFAT)
		if err != nil {
			return err
		}
		made.Mode, made.Size = TypeFile|0o755, int64(len(b))
		return visit(made, bytes.NewReader(b))
	})
}
