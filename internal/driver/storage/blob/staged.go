package blob

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"hearth/internal/disk"
)

// staged is an upload under way.
type staged struct {
	dir     *Store
	file    *os.File
	sparse  *disk.SparseWriter
	flushed int64 // up to where the kernel was asked to write to the disk
	over    bool
}

// flushEvery is how many bytes go to the disk at a time while more arrive, so
// that Seal has little to wait for.
const flushEvery = 16 << 20

func newStaged(d *Store, f *os.File) (*staged, error) {
	w, err := disk.NewSparseWriter(f)
	if err != nil {
		f.Close()
		os.Remove(f.Name())
		return nil, failed("blob.Stage", err)
	}
	return &staged{dir: d, file: f, sparse: w}, nil
}

// Write takes the next bytes; TooLarge when the disk is full.
func (s *staged) Write(p []byte) (int, error) {
	n, err := s.sparse.Write(p)
	if at := s.sparse.Size(); at-s.flushed >= flushEvery {
		// Advice only: what it does not write now, Seal will.
		_ = unix.SyncFileRange(int(s.file.Fd()), s.flushed, at-s.flushed, unix.SYNC_FILE_RANGE_WRITE)
		s.flushed = at
	}
	return n, failed("blob.Write", err)
}

// ReadAt reads what was written; holes at the end only after Seal.
func (s *staged) ReadAt(p []byte, off int64) (int, error) { return s.file.ReadAt(p, off) }

// Name is the file that is written, to be read by tools after Seal.
func (s *staged) Name() string { return s.file.Name() }

// Seal ends the writing, and waits until the disk has it all.
func (s *staged) Seal() error {
	err := s.sparse.Finish()
	if err == nil {
		err = s.file.Chmod(0o444)
	}
	if err == nil {
		err = s.file.Sync()
	}
	return failed("blob.Seal", err)
}

// Keep gives the sealed bytes their name. Where there are such bytes already,
// these stay.
func (s *staged) Keep(digest string) error {
	const op = "blob.Keep"
	path, err := s.dir.place(digest)
	if err != nil {
		return err
	}
	if err := os.Link(s.file.Name(), path); err != nil && !errors.Is(err, os.ErrExist) {
		return failed(op, err)
	}
	if err := syncDir(s.dir.blobs); err != nil {
		return failed(op, err)
	}
	s.Discard()
	return nil
}

// Discard ends the upload and forgets its bytes, unless they were kept. It may
// be called twice.
func (s *staged) Discard() {
	if s.over {
		return
	}
	s.over = true
	os.Remove(s.file.Name()) // what stays, Clean removes
	s.file.Close()
}

// syncDir makes the names in a folder last.
func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// reader is a blob being read.
type reader struct{ *os.File }

// readBlock is how much is read and sent at once.
const readBlock = 256 << 10

// WriteTo copies the rest in large blocks.
func (r *reader) WriteTo(w io.Writer) (int64, error) {
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r.File}, make([]byte, readBlock))
}
