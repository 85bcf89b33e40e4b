package deploy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// targetSize finds how large the disk will be, and that it may be written to.
func (b *build) targetSize() (int64, error) {
	if b.opt.Target == "" {
		return 0, refuse("no disk is named")
	}
	f, err := os.OpenFile(b.opt.Target, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		if b.opt.Size <= 0 && (b.opt.Image == "" || b.spec.CDInstall) {
			return 0, refuse("%s is not there; say with --size how large it is to be", b.opt.Target)
		}
		return b.opt.Size / sector * sector, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd) // of a block device too
	if err != nil {
		return 0, err
	}
	if b.opt.Size > size {
		return 0, refuse("%s has %d MB, not the %d MB of --size", b.opt.Target, size/mib, b.opt.Size/mib)
	}
	if !b.opt.Overwrite {
		if err := blankFile(f, size); err != nil {
			return 0, err
		}
	}
	return size, nil
}

// Blank refuses a target that has something on it already.
func Blank(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	return blankFile(f, size)
}

// blankFile looks at all of a file, and at both ends of a device: there begin tables, file systems and
// volumes, and second copies of them end.
func blankFile(f *os.File, size int64) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	look := func(from, to int64) error {
		b := make([]byte, mib)
		for ; from < to; from += mib {
			n, err := f.ReadAt(b[:min(mib, to-from)], from)
			if bytes.ContainsFunc(b[:n], func(r rune) bool { return r != 0 }) {
				return refuse("%s is not blank; --overwrite says that what is on it may go", f.Name())
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	if st.Mode().IsRegular() {
		return eachData(f, look)
	}
	if err := look(0, min(size, mib)); err != nil {
		return err
	}
	return look(max(0, size-mib), size)
}

// blank makes the target a disk without anything.
func (b *build) blank() error {
	f, err := os.OpenFile(b.opt.Target, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	b.report.Size = b.size
	st, err := f.Stat()
	if err == nil && st.Mode().IsRegular() && st.Size() == 0 {
		err = f.Truncate(b.size)
	} else if err == nil {
		err = zero(f, 0, min(b.size, 16*mib))
	}
	return errors.Join(err, f.Sync(), f.Close())
}

// publish moves the disk to its place: a new file by its name, one that is there,
// or a device, by its bytes.
func (b *build) publish(ctx context.Context) error {
	if _, err := os.Lstat(b.opt.Target); errors.Is(err, os.ErrNotExist) {
		if err := os.Chmod(b.raw, 0o644); err != nil {
			return err
		}
		return os.Rename(b.raw, b.opt.Target)
	}
	in, err := os.Open(b.raw)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(b.opt.Target, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(overwrite(ctx, out, in, b.size, func(n int64) { b.done("write the disk", n, b.size) }), out.Sync(), out.Close())
}

// overwrite makes out the same as in, zeros where that has holes.
func overwrite(ctx context.Context, out, in *os.File, size int64, told func(int64)) error {
	done := int64(0)
	err := eachData(in, func(from, to int64) error {
		if err := zero(out, done, from); err != nil {
			return err
		}
		for done = from; done < to; {
			if err := ctx.Err(); err != nil {
				return err
			}
			n, err := io.Copy(io.NewOffsetWriter(out, done), io.NewSectionReader(in, done, min(to-done, 64*mib)))
			if done += n; err != nil {
				return err
			}
			told(done)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return zero(out, done, size)
}

// zero makes a part of a file or a device zeros, without writing where the kernel
// can say so. Of devices Linux promises zeros after a hole was punched.
func zero(f *os.File, from, to int64) error {
	if from >= to {
		return nil
	}
	if unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, from, to-from) == nil {
		return nil
	}
	b := make([]byte, mib)
	for from < to {
		n, err := f.WriteAt(b[:min(mib, to-from)], from)
		if from += int64(n); err != nil {
			return err
		}
	}
	return nil
}

// eachData calls do for each part of a file that is no hole.
func eachData(f *os.File, do func(from, to int64) error) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	for at := int64(0); at < st.Size(); {
		from, err := unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil
		}
		if err != nil { // no such call here: all of it is data
			return do(at, st.Size())
		}
		to, err := unix.Seek(int(f.Fd()), from, unix.SEEK_HOLE)
		if err != nil {
			to = st.Size()
		}
		if err := do(from, to); err != nil {
			return err
		}
		at = to
	}
	return nil
}
