package disk

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
)

// CreateRedo makes the redo log path, which must not exist, of a disk of size bytes: a
// qcow2 that names no file. Attached as the topmost layer of the disk's chain it takes
// all that is written, until [Runner.Redo] puts that onto the disk itself.
func (r *Runner) CreateRedo(ctx context.Context, path string, size int64) error {
	return r.create(ctx, path, Command{Name: "qemu-img", Args: []string{"create", "-q", "-f", "qcow2", path, strconv.FormatInt(size, 10)}})
}

// SealRedo has a redo log, which nobody has open any more, outlive a power failure.
func SealRedo(path string) error {
	for _, name := range []string{path, filepath.Dir(path)} {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// Redo writes what the redo log has to the disk of chain, which nobody uses, and sees
// that it is kept. Done again, whole or after a part, it leaves the same.
func (r *Runner) Redo(ctx context.Context, chain []Layer, log string) (err error) {
	in, err := os.Open(log)
	if err != nil {
		return err
	}
	defer in.Close()
	st, err := in.Stat()
	if err != nil {
		return err
	}
	q, err := NewQCOW2Reader(in, st.Size())
	if err != nil {
		return err
	}
	a, err := r.Attach(ctx, chain)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	out, err := os.OpenFile(a.Path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(redo(ctx, out, q), out.Sync(), out.Close())
}

func redo(ctx context.Context, out *os.File, q *QCOW2Reader) error {
	b := make([]byte, q.cluster())
	for off := int64(0); off < q.Size(); {
		if err := ctx.Err(); err != nil {
			return err
		}
		own, n, err := q.Own(off)
		if err != nil {
			return err
		}
		if own {
			if _, err := q.ReadAt(b[:n], off); err != nil {
				return err
			}
			if _, err := out.WriteAt(b[:n], off); err != nil {
				return err
			}
		}
		off += n
	}
	return nil
}
