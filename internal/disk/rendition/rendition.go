// Package rendition gives stored images in other forms than they are stored in: a
// disk in another format, as a package of a virtual machine, or as the files in it;
// and the disk of an image that is a package or an archive of files.
//
// A raw disk is read out of the stored one as it goes by. Whatever else is made
// first, in a folder that is bounded, and kept there for a while: who asks for the
// rest of it gets the rest of the same.
package rendition

import (
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hearth/internal/disk"
	"hearth/internal/disk/convert"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/ova"
)

// The forms beside the formats of disks. Dump is Ganeti's export: a tar file of
// boot.dump and root.dump.
const (
	OVA  = "ova"
	Dump = "dump"
)

var (
	diskForms = []string{"qcow2", "raw", "vmdk", "vdi", "vhd", "vhdx"}
	treeForms = []string{"tar.zst", "tar.gz", "tar", Dump}
)

// Forms are what an image can be made.
func Forms() []string { return slices.Concat(diskForms, []string{OVA}, treeForms) }

// ToolTime bounds each tool that makes a rendition.
const ToolTime = 6 * time.Hour

// Source is a stored image.
type Source struct {
	Digest string // of its bytes
	Path   string // of a file with them
	Disk   string // of a file with the raw disk that was made of it, where it is none; ""
	Name   string // of the machine, in a package
}

// Rendition is an image in another form, to be closed.
type Rendition struct {
	io.ReadSeekCloser
	Size int64  // bytes
	MD5  string // of all of them, hexadecimal; "" where they are made as they are read
	Tag  string // tells these bytes from any others
}

// IsTree tells whether a file is an archive, a dump, or Ganeti's export, rather than a
// disk.
func IsTree(path string) (bool, error) { return convert.IsTree(path) }

func refuse(kind disk.Kind, format string, args ...any) error {
	return &disk.Error{Kind: kind, Op: "convert image", Reason: fmt.Sprintf(format, args...)}
}

// Open gives an image in a form. Unsupported of a form that is not known, and of
// what the image cannot be made; TooBig.
func (s *Shop) Open(ctx context.Context, src Source, form string) (*Rendition, error) {
	if !slices.Contains(Forms(), form) {
		return nil, refuse(disk.Unsupported, "an image is not made %.40q here, but one of %s", form, strings.Join(Forms(), ", "))
	}
	if form == string(disk.Raw) {
		if r, err := s.raw(src); r != nil || err != nil {
			return r, err
		}
	}
	return s.shelved(ctx, src, form)
}

// raw reads the disk out of a stored raw or qcow2; nil of others.
func (s *Shop) raw(src Source) (*Rendition, error) {
	path := src.Path
	if src.Disk != "" {
		path = src.Disk
	}
	if is, err := ova.IsFile(path); is || err != nil {
		return nil, err
	}
	if is, err := convert.IsTree(path); is || err != nil {
		return nil, err
	}
	layer, _, err := guestfs.Image(path)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	from, err := disk.OpenSource(f, layer.Format)
	if err != nil {
		f.Close()
		if disk.KindOf(err) == disk.Unsupported {
			return nil, nil
		}
		return nil, err
	}
	return &Rendition{ReadSeekCloser: section{io.NewSectionReader(from, 0, from.Size()), f}, Size: from.Size(), Tag: tag(src.Digest, "raw")}, nil
}

// section is a disk that is read like a file.
type section struct {
	*io.SectionReader
	io.Closer
}

// WriteTo is hidden by a larger buffer: a compressed cluster is unpacked once.
func (s section) WriteTo(w io.Writer) (int64, error) {
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{s.SectionReader}, make([]byte, 1<<20))
}

func tag(parts ...string) string {
	sum := sha512.Sum512([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// Make makes the new file to, of a form, of the image in from. name is that of the
// machine, in a package.
func (s *Shop) Make(ctx context.Context, from, form, to, name string) error {
	work, err := s.workDir()
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	made := filepath.Join(work, "made")
	if err := s.make(ctx, from, form, made, name, work); err != nil {
		return err
	}
	return os.Rename(made, to)
}

// make is Make in a folder for its parts.
func (s *Shop) make(ctx context.Context, from, form, to, name, work string) error {
	isTree, err := convert.IsTree(from)
	if err != nil {
		return err
	}
	target := form
	if form == Dump {
		target = "ganeti"
	}
	wantsTree := slices.Contains(treeForms, form)
	if !isTree {
		if from, err = s.plainDisk(ctx, from, work, wantsTree); err != nil {
			return err
		}
	}
	if wantsTree {
		_, err := convert.Tree(ctx, s.run, convert.TreeOptions{Source: from, Target: to, To: target})
		return err
	}
	if isTree {
		raw := filepath.Join(work, "raw")
		if _, err := convert.Tree(ctx, s.run, convert.TreeOptions{Source: from, Target: raw, To: string(disk.Raw)}); err != nil || form == string(disk.Raw) {
			return errors.Join(err, os.Rename(raw, to))
		}
		from = raw
	}
	opt := convert.Options{Source: from, Target: to, Format: disk.Format(form)}
	if form == OVA {
		_, err = convert.OVA(ctx, s.run, opt, ova.Machine{Name: name})
	} else {
		_, err = convert.Disk(ctx, s.run, opt)
	}
	return err
}

// plainDisk gives the disk of an image: the first of a package. Where its files are
// to be read, it is made one that is read in process.
func (s *Shop) plainDisk(ctx context.Context, from, work string, files bool) (string, error) {
	is, err := ova.IsFile(from)
	if err != nil {
		return "", err
	}
	if is {
		inner := filepath.Join(work, "disk")
		if err := extract(ctx, from, inner); err != nil {
			return "", err
		}
		from = inner
	}
	layer, info, err := guestfs.Image(from)
	switch {
	case err != nil:
		return "", err
	case info.VirtualSize > s.most():
		return "", refuse(disk.TooBig, "its disk of %d bytes is larger than the %d that are made here at a time (image.convert_gb is four times that); take it as it is, or as raw, and convert it with 'hearth image convert'", info.VirtualSize, s.most())
	case !files || layer.Format == disk.Raw || layer.Format == disk.QCOW2:
		return from, nil
	}
	plain := filepath.Join(work, "plain")
	_, err = convert.Disk(ctx, s.run, convert.Options{Source: from, Target: plain, Format: disk.Raw})
	return plain, err
}

// extract takes the first disk out of a package.
func extract(ctx context.Context, from, to string) error {
	p, file, err := ova.OpenFile(from)
	if err != nil {
		return err
	}
	defer file.Close()
	return p.Extract(ctx, 1, to)
}
