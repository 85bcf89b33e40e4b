// Package tarball reads and writes file trees as tar archives, packed or not, in
// process: PAX headers with numeric owners, times to the nanosecond, extended
// attributes (SCHILY.xattr), access control lists (SCHILY.acl), hard links,
// devices and holes (GNU sparse 1.0), as GNU tar, bsdtar and star understand them.
// Sockets are left out, as by these.
package tarball

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/klauspost/pgzip"
	"github.com/mikelolasagasti/xz"

	"hearth/internal/disk"
)

// Packing is how an archive is packed.
type Packing string

// The packings. Bzip2 and XZ are only read.
const (
	Plain Packing = ""
	Gzip  Packing = "gzip"
	Zstd  Packing = "zstd"
	Bzip2 Packing = "bzip2"
	XZ    Packing = "xz"
)

// PackingOf tells the packing by the first bytes, six or more of them.
func PackingOf(head []byte) Packing {
	for _, m := range []struct {
		magic string
		is    Packing
	}{{"\x1f\x8b", Gzip}, {"\xfd7zXZ\x00", XZ}, {"BZh", Bzip2}, {"\x28\xb5\x2f\xfd", Zstd}} {
		if bytes.HasPrefix(head, []byte(m.magic)) {
			return m.is
		}
	}
	return Plain
}

// Unpack reads what a file holds, be it packed by gzip, xz, bzip2 or zstd or not
// at all, as its first bytes say. Its memory is bounded: 256 MiB for zstd, 64 MiB
// for xz.
func Unpack(f io.Reader) (io.Reader, error) {
	in := bufio.NewReaderSize(f, 64<<10) // xz reads byte by byte
	head, err := in.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch PackingOf(head) {
	case Gzip:
		return gzip.NewReader(in)
	case XZ:
		return xz.NewReader(in, 64<<20) // as much as "xz -9" takes
	case Bzip2:
		return bzip2.NewReader(in), nil
	case Zstd:
		z, err := zstd.NewReader(in, zstd.WithDecoderMaxMemory(256<<20), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	}
	return in, nil
}

type open struct{ io.Writer }

// Close implements io.Closer; the file below stays open.
func (open) Close() error { return nil }

// Pack writes packed to w. The bytes are the same each time, whatever the machine.
func Pack(w io.Writer, p Packing) (io.WriteCloser, error) {
	switch p {
	case Plain:
		return open{w}, nil
	case Gzip:
		return pgzip.NewWriterLevel(w, pgzip.DefaultCompression)
	case Zstd:
		return zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(2))
	}
	return nil, &disk.Error{Kind: disk.Unsupported, Op: "write archive", Reason: fmt.Sprintf("archives are packed by gzip or zstd, not by %s", p)}
}
