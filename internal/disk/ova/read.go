package ova

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // what older packages have; it guards against damage, not malice
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"os"
	"path"
	"strings"

	"hearth/internal/disk"
)

// maxMembers of a package, and of a manifest.
const (
	maxMembers  = 1000
	maxManifest = 1 << 20
)

// Package is an OVA that was read.
type Package struct {
	Machine *Machine
	Notes   []string // what is worth to know: that there is no manifest, for one

	r io.ReaderAt
}

// Is tells whether a file begins as an OVA does: with a descriptor.
func Is(r io.ReaderAt) bool {
	head := make([]byte, 512)
	if n, _ := r.ReadAt(head, 0); n < len(head) || string(head[257:262]) != "ustar" {
		return false
	}
	name, _, _ := bytes.Cut(head[:100], []byte{0})
	return strings.EqualFold(path.Ext(string(name)), ".ovf")
}

// IsFile is [Is] of a file by its path.
func IsFile(path string) (bool, error) {
	f, err := disk.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	return Is(f), nil
}

// sum is a hash of a manifest.
type sum struct {
	algorithm, hex string
}

func (s sum) new() hash.Hash {
	switch s.algorithm {
	case "SHA1":
		return sha1.New() //nolint:gosec // see above
	case "SHA256":
		return sha256.New()
	case "SHA512":
		return sha512.New()
	}
	return nil
}

// member is a file of the package.
type member struct {
	at, size int64
}

// OpenFile is [Open] of a file, which is the caller's to close when the package has
// been read.
func OpenFile(path string) (*Package, io.Closer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	st, err := f.Stat()
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	p, err := Open(f, st.Size())
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return p, f, nil
}

// Open reads the descriptor and the manifest of an OVA of size bytes, and finds the
// disks. Errors are of kind Refused or Unsupported.
func Open(r io.ReaderAt, size int64) (*Package, error) {
	members, descriptor, err := members(r, size)
	if err != nil {
		return nil, err
	}
	text, err := small(r, members[descriptor], maxOVF, descriptor)
	if err != nil {
		return nil, err
	}
	p := &Package{r: r}
	if p.Machine, err = parseOVF(text); err != nil {
		return nil, err
	}
	for i := range p.Machine.Disks {
		d := &p.Machine.Disks[i]
		m, ok := members[d.File]
		if !ok {
			return nil, refuse("the disk %.60q is not in the package", d.File)
		}
		d.at, d.Size = m.at, m.size
	}
	return p, p.manifest(members, strings.TrimSuffix(descriptor, path.Ext(descriptor))+".mf", descriptor, text)
}

// members lists the files of a tar file, and gives the name of the descriptor,
// which is the first.
func members(r io.ReaderAt, size int64) (list map[string]member, descriptor string, err error) {
	section := io.NewSectionReader(r, 0, size)
	t := tar.NewReader(section)
	list = map[string]member{}
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, "", refuse("the package is no whole tar file: %v", err)
		}
		at, err := section.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, "", err
		}
		name := strings.TrimPrefix(h.Name, "./")
		switch _, twice := list[name]; {
		case h.Typeflag != tar.TypeReg:
			return nil, "", refuse("%.60q in the package is no plain file", h.Name)
		case flat(name) != nil:
			return nil, "", flat(name)
		case sparse(h) || h.Size > size-at:
			return nil, "", refuse("%.60q has %d bytes, which the package has not; it is cut short, or sparse", name, h.Size)
		case twice:
			return nil, "", refuse("%.60q is in the package twice", name)
		case len(list) >= maxMembers:
			return nil, "", refuse("the package has more than %d files", maxMembers)
		}
		list[name] = member{at, h.Size}
		if strings.EqualFold(path.Ext(name), ".ovf") && descriptor == "" {
			descriptor = name
		}
	}
	if descriptor == "" {
		return nil, "", refuse("the package has no descriptor, a file of .ovf")
	}
	return list, descriptor, nil
}

// sparse tells whether a member's bytes are not those in the file.
func sparse(h *tar.Header) bool {
	for k := range h.PAXRecords {
		if strings.HasPrefix(k, "GNU.sparse.") {
			return true
		}
	}
	return h.Size < 0
}

func small(r io.ReaderAt, m member, most int64, name string) ([]byte, error) {
	if m.size > most {
		return nil, refuse("%.60q has %d bytes, more than %d", name, m.size, most)
	}
	b := make([]byte, m.size)
	if n, err := r.ReadAt(b, m.at); n < len(b) {
		return nil, errors.Join(refuse("%.60q is cut short", name), err)
	}
	return b, nil
}

// manifest checks what the manifest says of the descriptor, and notes what it says
// of the disks (DSP0243, 5.1: lines of ALGORITHM(name)= digest).
func (p *Package) manifest(members map[string]member, name, descriptor string, text []byte) error {
	m, ok := members[name]
	if !ok {
		p.Notes = append(p.Notes, "the package has no manifest: whether it is whole is not known")
		return nil
	}
	b, err := small(p.r, m, maxManifest, name)
	if err != nil {
		return err
	}
	sums := map[string]sum{}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for lines.Scan() {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		file, s, ok := manifestLine(lines.Text())
		if _, there := members[file]; !ok || !there || s.new() == nil || len(s.hex) != 2*s.new().Size() {
			return refuse("the manifest has the line %.60q, which is of no file in the package, or of no hash that is known", lines.Text())
		}
		sums[file] = s
	}
	if err := lines.Err(); err != nil {
		return refuse("the manifest cannot be read: %v", err)
	}
	s, ok := sums[descriptor]
	if !ok {
		return refuse("the manifest says nothing of %.60q", descriptor)
	}
	h := s.new()
	h.Write(text)
	if hex.EncodeToString(h.Sum(nil)) != s.hex {
		return refuse("%.60q is not what the manifest says: it was changed, or damaged", descriptor)
	}
	for i := range p.Machine.Disks {
		d := &p.Machine.Disks[i]
		if d.sum, ok = sums[d.File]; !ok {
			return refuse("the manifest says nothing of %.60q", d.File)
		}
	}
	return nil
}

func manifestLine(line string) (file string, s sum, ok bool) {
	left, digest, ok1 := strings.Cut(line, ")=")
	if !ok1 {
		left, digest, ok1 = strings.Cut(line, ") =")
	}
	algorithm, file, ok2 := strings.Cut(left, "(")
	return file, sum{strings.ToUpper(strings.TrimSpace(algorithm)), strings.ToLower(strings.TrimSpace(digest))}, ok1 && ok2
}

// Disk is the bytes of a disk, counted from 1, and how many they are. Unsupported when
// there is none of that number. They may not be what the manifest says: see Verify.
func (p *Package) Disk(number int) (io.ReaderAt, int64, error) {
	disks := p.Machine.Disks
	if number < 1 || number > len(disks) {
		return nil, 0, unsupported("the machine has %d disks, not one of number %d", len(disks), number)
	}
	d := disks[number-1]
	return io.NewSectionReader(p.r, d.at, d.Size), d.Size, nil
}

// Verify holds the disks against the manifest, if there is one; Refused.
func (p *Package) Verify() error {
	for _, d := range p.Machine.Disks {
		if d.sum.algorithm == "" {
			continue
		}
		h := d.sum.new()
		if _, err := io.Copy(h, io.NewSectionReader(p.r, d.at, d.Size)); err != nil {
			return err
		}
		if hex.EncodeToString(h.Sum(nil)) != d.sum.hex {
			return refuse("%.60q is not what the manifest says: it was changed, or damaged", d.File)
		}
	}
	return nil
}

// Extract writes a disk, counted from 1, to the new file dst, and checks its hash;
// 0 is the only one.
func (p *Package) Extract(ctx context.Context, number int, dst string) error {
	disks := p.Machine.Disks
	switch {
	case len(disks) == 0:
		return unsupported("the machine has no disk")
	case number == 0 && len(disks) > 1:
		return unsupported("the machine has %d disks; say which one is meant, from 1 on", len(disks))
	case number < 0 || number > len(disks):
		return unsupported("the machine has %d disks, not one of number %d", len(disks), number)
	}
	d := disks[max(number, 1)-1]
	src := io.Reader(io.NewSectionReader(p.r, d.at, d.Size))
	var h hash.Hash
	if d.sum.algorithm != "" {
		h = d.sum.new()
		src = io.TeeReader(src, h)
	}
	if err := disk.CopySparse(ctx, dst, src); err != nil {
		return err
	}
	if h != nil && hex.EncodeToString(h.Sum(nil)) != d.sum.hex {
		return refuse("%.60q is not what the manifest says: it was changed, or damaged", d.File)
	}
	return nil
}
