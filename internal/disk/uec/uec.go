// Package uec reads the archive in which images came that a cloud boots by kernel:
// a tar file, packed or not, with a kernel, perhaps an initial ramdisk, and a file
// system, as Ubuntu's UEC images were published and as `euca-bundle` and the like
// were fed. Nothing is unpacked to disk and no name in the archive is used as one:
// members come one after the other, as streams, and are told apart by what they hold.
package uec

import (
	"archive/tar"
	"bufio"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"

	"github.com/klauspost/compress/zstd"
	"github.com/mikelolasagasti/xz"

	"hearth/internal/disk"
)

// Kind is what a member is to the cloud, by the name of its disk format there.
type Kind string

// The kinds.
const (
	Kernel  Kind = "aki"
	Ramdisk Kind = "ari"
	Root    Kind = "ami"
)

// Member is a part of the image.
type Member struct {
	Kind Kind
	Name string // in the archive; not to be used as a path
	Size int64  // in bytes
}

// The bounds of an archive. What is not a part of the image is read past, and there
// is little of that in a real one.
const (
	maxKernel  = 1 << 30
	maxRamdisk = 4 << 30
	maxRoot    = 1 << 40
	maxMembers = 10_000
	maxOther   = 1 << 30
	maxWindow  = 128 << 20 // of a packer
)

// Reader gives the members of an archive.
type Reader struct {
	tar     *tar.Reader
	seen    map[Kind]string
	members int
	other   int64
	close   func()
}

// Open begins to read an archive; close the Reader afterwards. gzip, bzip2, xz and
// zstd are unpacked.
func Open(r io.Reader) (*Reader, error) {
	plain, done, err := unpacked(r)
	if err != nil {
		return nil, fmt.Errorf("the archive cannot be unpacked: %w", err)
	}
	return &Reader{tar: tar.NewReader(plain), seen: map[Kind]string{}, close: done}, nil
}

// Close ends the reading.
func (r *Reader) Close() { r.close() }

func unpacked(r io.Reader) (plain io.Reader, done func(), err error) {
	b := bufio.NewReaderSize(r, 1<<16)
	head, _ := b.Peek(512) // what is shorter is no archive, which tar says
	done = func() {}
	switch packing := disk.Sniff(head).Packing; packing {
	case "":
		return b, done, nil
	case "gzip":
		plain, err = gzip.NewReader(b)
	case "bzip2":
		plain = bzip2.NewReader(b)
	case "xz":
		plain, err = xz.NewReader(b, maxWindow)
	case "zstd":
		var z *zstd.Decoder
		z, err = zstd.NewReader(b, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
		if err == nil {
			plain, done = z, z.Close
		}
	default:
		err = fmt.Errorf("it is packed by %s; gzip, bzip2, xz and zstd are known here", packing)
	}
	return plain, done, err
}

var (
	ramdiskName = regexp.MustCompile(`(?i)(^|[^a-z])(initrd|initramfs|ramdisk)`)
	kernelName  = regexp.MustCompile(`(?i)(^|[^a-z])(vmlinu[xz]|kernel|bzimage|linux)`)
)

// Next gives the next part of the image and what reads it, until the next call;
// io.EOF at the end. An archive with two of a kind, or with a whole disk, is refused.
func (r *Reader) Next() (Member, io.Reader, error) {
	for {
		h, err := r.tar.Next()
		if errors.Is(err, io.EOF) {
			return Member{}, nil, io.EOF
		}
		if err != nil {
			return Member{}, nil, fmt.Errorf("the archive cannot be read: %w", err)
		}
		if r.members++; r.members > maxMembers {
			return Member{}, nil, fmt.Errorf("the archive has more than %d members", maxMembers)
		}
		if h.Typeflag != tar.TypeReg || h.Size == 0 {
			continue
		}
		body := bufio.NewReaderSize(r.tar, disk.SniffLen)
		head, err := body.Peek(int(min(h.Size, disk.SniffLen)))
		if err != nil {
			return Member{}, nil, fmt.Errorf("the archive ends in %q: %w", name(h), err)
		}
		kind, err := r.judge(h, disk.Sniff(head))
		if err != nil {
			return Member{}, nil, err
		}
		if kind == "" {
			if r.other += h.Size; r.other > maxOther {
				return Member{}, nil, fmt.Errorf("the archive has more than %d MiB that are no part of an image", maxOther>>20)
			}
			continue
		}
		return Member{Kind: kind, Name: name(h), Size: h.Size}, body, nil
	}
}

// name is a member's, for a message.
func name(h *tar.Header) string {
	base := path.Base(h.Name)
	return base[:min(len(base), 100)]
}

// judge says what a member is; "" for none of the image's.
func (r *Reader) judge(h *tar.Header, is disk.Info) (Kind, error) {
	kind, most := kindOf(name(h), is)
	switch {
	case is.Format != disk.Raw, kind == "" && (is.Content == disk.MBR || is.Content == disk.GPT):
		return "", fmt.Errorf("%q in the archive is a whole disk (%s), which boots by itself: unpack it and upload it alone", name(h), or(string(is.Format), string(is.Content)))
	case kind == "":
		return "", nil
	case h.Size > most:
		return "", fmt.Errorf("%q in the archive has %d bytes: more than the %d of any %s", name(h), h.Size, most, kind)
	case r.seen[kind] != "":
		return "", fmt.Errorf("the archive has two of %s: %q and %q; give them by --kernel, --initrd and --root", kind, r.seen[kind], name(h))
	}
	r.seen[kind] = name(h)
	return kind, nil
}

func or(format, content string) string {
	if format != string(disk.Raw) {
		return format
	}
	return content
}

// kindOf goes by what a member holds, and by its name where that is of several
// kinds: ramdisks are packed like any other file, and the ELF file of a boot loader
// looks like a kernel.
func kindOf(name string, is disk.Info) (kind Kind, most int64) {
	switch {
	case slices.Contains([]disk.Content{disk.Ext, disk.XFS, disk.Btrfs, disk.F2FS}, is.Content):
		return Root, maxRoot
	case is.Content == disk.Kernel && kernelName.MatchString(name):
		return Kernel, maxKernel
	case (is.Content == disk.Ramdisk || is.Content == disk.Packed) && ramdiskName.MatchString(name):
		return Ramdisk, maxRamdisk
	}
	return "", 0
}
