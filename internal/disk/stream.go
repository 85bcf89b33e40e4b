package disk

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Stream is a file that is read once, from its beginning to its end.
type Stream struct {
	file    *os.File
	awaited bool // it is a pipe of which nothing came yet
}

// OpenStream opens what can be read as it comes: a file, a device, or a pipe, as a shell's <(…) or
// /dev/stdin is one. A pipe with a name (mkfifo) that nobody writes into is not waited for: its first
// Read is Unsupported, and says so.
func OpenStream(path string) (*Stream, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // which files and disks do not heed
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	switch {
	case err != nil:
	case st.IsDir():
		err = fail(Unsupported, "open file", "%s is a directory: name a file", path)
	default:
		s := &Stream{file: f}
		if st.Mode()&os.ModeNamedPipe != 0 {
			s.awaited, err = named(f)
		}
		if err == nil {
			return s, nil
		}
	}
	return nil, errors.Join(err, f.Close())
}

// named tells whether a pipe lies in a file system. One that does not was made with its other end.
func named(f *os.File) (bool, error) {
	c, err := f.SyscallConn()
	if err != nil {
		return false, err
	}
	var fs unix.Statfs_t
	var failed error
	err = c.Control(func(fd uintptr) { failed = unix.Fstatfs(int(fd), &fs) })
	return fs.Type != unix.PIPEFS_MAGIC, errors.Join(err, failed)
}

// Read implements io.Reader.
func (s *Stream) Read(p []byte) (int, error) {
	n, err := s.file.Read(p)
	if s.awaited && n == 0 && errors.Is(err, io.EOF) {
		return 0, fail(Unsupported, "read file", "%s is a pipe into which nobody writes: name a file, or start what writes into it first", s.file.Name())
	}
	s.awaited = s.awaited && n == 0
	return n, err
}

// Stat is [os.File.Stat].
func (s *Stream) Stat() (os.FileInfo, error) { return s.file.Stat() }

// Close implements io.Closer.
func (s *Stream) Close() error { return s.file.Close() }

// ReadText reads a text of at most limit bytes, of what [OpenStream] opens. TooBig of more.
func ReadText(path string, limit int64) ([]byte, error) {
	s, err := OpenStream(path)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	b, err := io.ReadAll(io.LimitReader(s, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fail(TooBig, "read file", "%s is too large: at most %d bytes are read", path, limit)
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}
