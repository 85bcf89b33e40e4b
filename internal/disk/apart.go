package disk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
)

// checkApart has e2fsck replay the journal of a file system within a partition, on
// a copy of it, and takes over what changed. e2fsck 1.47 opens the file system once
// more after the replay and forgets the offset then (e2fsck_run_ext3_journal), so it
// fails for ever with exit code 12. The copy lies in the folder for temporary files
// and takes the room of its data.
func (r *Runner) checkApart(ctx context.Context, f *os.File, fs *ExtFS) error {
	dir, err := os.MkdirTemp("", "hearth-check-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "fs")
	if err := copySparse(path, io.NewSectionReader(f, fs.Offset, fs.Size)); err != nil {
		return err
	}
	if _, err := r.Run(ctx, Command{Name: "e2fsck", Args: []string{"-f", "-y", path}, Write: []string{path}, OK: []int{1, 2}}); err != nil {
		return err
	}
	mended, err := os.Open(path)
	if err != nil {
		return err
	}
	defer mended.Close()
	return takeOver(ctx, f, fs, mended)
}

// copySparse writes what src has to the new file path, without its zeros.
func copySparse(path string, src io.Reader) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w, err := NewSparseWriter(f)
	if err != nil {
		return err
	}
	if _, err := w.ReadFrom(src); err != nil {
		return err
	}
	return w.Finish()
}

// takeOver writes what differs in mended to the file system in f. The begin, with
// the superblock that asks for the replay, is written last: whatever breaks off
// before is done again the next time.
func takeOver(ctx context.Context, f *os.File, fs *ExtFS, mended io.ReaderAt) error {
	const piece = 1 << 20
	was, is := make([]byte, piece), make([]byte, piece)
	for at := (fs.Size - 1) / piece * piece; at >= 0; at -= piece {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(piece, fs.Size-at)
		if _, err := mended.ReadAt(is[:n], at); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if _, err := f.ReadAt(was[:n], fs.Offset+at); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if bytes.Equal(was[:n], is[:n]) {
			continue
		}
		if at == 0 { // all else is on the disk before
			if err := f.Sync(); err != nil {
				return err
			}
		}
		if _, err := f.WriteAt(is[:n], fs.Offset+at); err != nil {
			return err
		}
	}
	return f.Sync()
}
