package tarball

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hearth/internal/disk/tree"
)

// Write makes an archive of a tree, packed as p says; the same tree gives the same
// bytes. It tells which sockets were left out.
func Write(ctx context.Context, w io.Writer, p Packing, from tree.Source) (left []string, err error) {
	packed, err := Pack(w, p)
	if err != nil {
		return nil, err
	}
	a := &archive{out: packed, tar: tar.NewWriter(packed)}
	err = from.Walk(ctx, func(e *tree.Entry, content io.Reader) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if e.Type() == tree.TypeSocket {
			left = append(left, e.Path)
			return nil
		}
		if err := a.entry(e, content); err != nil {
			return fmt.Errorf("%s: %w", e.Path, err)
		}
		return nil
	})
	if err != nil {
		return left, err
	}
	if err := a.tar.Close(); err != nil {
		return left, err
	}
	return left, packed.Close()
}

type archive struct {
	out io.Writer
	tar *tar.Writer
}

// flags are tar's for the types of files.
var flags = map[uint32]byte{tree.TypeDir: tar.TypeDir, tree.TypeFile: tar.TypeReg, tree.TypeLink: tar.TypeSymlink,
	tree.TypeChar: tar.TypeChar, tree.TypeBlock: tar.TypeBlock, tree.TypeFIFO: tar.TypeFifo}

func (a *archive) entry(e *tree.Entry, content io.Reader) error {
	flag, ok := flags[e.Type()]
	if !ok {
		return refuse("a file of type %o", e.Type())
	}
	h := &tar.Header{Typeflag: flag, Name: "." + e.Path, Linkname: e.Link, Mode: int64(e.Mode & 0o7777), Uid: e.UID, Gid: e.GID,
		ModTime: e.MTime, Devmajor: int64(e.Major), Devminor: int64(e.Minor), Format: tar.FormatPAX}
	if h.ModTime.IsZero() {
		h.ModTime = time.Unix(0, 0)
	}
	if flag == tar.TypeDir && e.Path != "/" {
		h.Name += "/"
	}
	if e.Same != "" {
		h.Typeflag, h.Linkname = tar.TypeLink, "."+e.Same
		return a.tar.WriteHeader(h)
	}
	var err error
	if h.PAXRecords, err = Records(e.Xattrs); err != nil {
		return err
	}
	if content == nil {
		return a.tar.WriteHeader(h)
	}
	h.Size = e.Size
	if worth(e) {
		return a.sparse(h, e, content)
	}
	if err := a.tar.WriteHeader(h); err != nil {
		return err
	}
	if n, err := io.Copy(a.tar, content); err != nil || n != e.Size {
		return fmt.Errorf("it has %d bytes, not %d: %w", n, e.Size, errOr(err))
	}
	return nil
}

func errOr(err error) error {
	if err == nil {
		return io.ErrUnexpectedEOF
	}
	return err
}

// worth tells whether holes are worth a map: 64 KiB of them.
func worth(e *tree.Entry) bool {
	if e.Stored == nil {
		return false
	}
	stored := int64(0)
	for _, s := range e.Stored {
		stored += s.Length
	}
	return e.Size-stored >= 64<<10
}

// sparse writes a file with a map of what is stored: GNU's sparse format 1.0, in a
// PAX header of our own, for the standard library writes none.
// Source: GNU tar's manual, appendix "PAX Format, Version 1.0".
func (a *archive) sparse(h *tar.Header, e *tree.Entry, content io.Reader) error {
	var table strings.Builder
	stretches := e.Stored
	if n := len(stretches); n == 0 || stretches[n-1].Offset+stretches[n-1].Length < e.Size {
		stretches = append(slices.Clone(stretches), tree.Stretch{Offset: e.Size})
	}
	fmt.Fprintf(&table, "%d\n", len(stretches))
	size := int64(0)
	for _, s := range stretches {
		fmt.Fprintf(&table, "%d\n%d\n", s.Offset, s.Length)
		size += s.Length
	}
	prefix := padded([]byte(table.String()))
	records := map[string]string{"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": h.Name, "GNU.sparse.realsize": fmt.Sprint(e.Size),
		"mtime": seconds(e.MTime), "uid": fmt.Sprint(h.Uid), "gid": fmt.Sprint(h.Gid), "size": fmt.Sprint(size + int64(len(prefix)))}
	for k, v := range h.PAXRecords {
		records[k] = v
	}
	if err := a.tar.Flush(); err != nil {
		return err
	}
	var b bytes.Buffer
	pax := paxRecords(records)
	b.Write(ustar('x', "./PaxHeaders/sparse", 0o644, int64(len(pax))))
	b.Write(padded(pax))
	b.Write(ustar('0', "./GNUSparseFile/file", h.Mode, size+int64(len(prefix))))
	b.Write(prefix)
	if _, err := a.out.Write(b.Bytes()); err != nil {
		return err
	}
	if err := copyStored(a.out, content, stretches); err != nil {
		return err
	}
	_, err := a.out.Write(make([]byte, -size&511))
	return err
}

// copyStored passes by what is no data.
func copyStored(w io.Writer, content io.Reader, stretches []tree.Stretch) error {
	at := int64(0)
	for _, s := range stretches {
		if seek, ok := content.(io.Seeker); ok {
			if _, err := seek.Seek(s.Offset, io.SeekStart); err != nil {
				return err
			}
		} else if _, err := io.CopyN(io.Discard, content, s.Offset-at); err != nil {
			return err
		}
		if _, err := io.CopyN(w, content, s.Length); err != nil {
			return err
		}
		at = s.Offset + s.Length
	}
	return nil
}

func padded(b []byte) []byte { return append(b, make([]byte, -len(b)&511)...) }

// seconds is a time as PAX headers have it.
func seconds(t time.Time) string {
	if t.Nanosecond() == 0 {
		return fmt.Sprint(t.Unix())
	}
	s, n := t.Unix(), t.Nanosecond()
	sign := ""
	if s < 0 {
		sign, s, n = "-", -s-1, 1e9-n
	}
	return sign + strings.TrimRight(fmt.Sprintf("%d.%09d", s, n), "0")
}

// paxRecords writes records "LENGTH KEY=VALUE\n", sorted.
func paxRecords(all map[string]string) []byte {
	var lines []string
	for k, v := range all {
		body := " " + k + "=" + v + "\n"
		n := len(body)
		for n != len(body)+len(fmt.Sprint(n)) {
			n = len(body) + len(fmt.Sprint(n))
		}
		lines = append(lines, fmt.Sprint(n)+body)
	}
	slices.SortFunc(lines, func(a, b string) int {
		_, a, _ = strings.Cut(a, " ")
		_, b, _ = strings.Cut(b, " ")
		return strings.Compare(a, b)
	})
	return []byte(strings.Join(lines, ""))
}

// ustar is a header block; owner and time are in the PAX header before it.
func ustar(flag byte, name string, mode, size int64) []byte {
	b := make([]byte, 512)
	copy(b, name)
	octal := func(at, width int, v int64) { copy(b[at:], fmt.Sprintf("%0*o\x00", width-1, v)) }
	octal(100, 8, mode)
	octal(108, 8, 0)
	octal(116, 8, 0)
	if size >= 1<<33 {
		size = 0 // the record says it
	}
	octal(124, 12, size)
	octal(136, 12, 0)
	b[156] = flag
	copy(b[257:], "ustar\x0000")
	copy(b[148:], "        ")
	sum := int64(0)
	for _, c := range b {
		sum += int64(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

// Bundle makes an archive of files in the folder dir, of which root is the owner, as
// ./NAME: so ganeti-instance-image's export has them.
func Bundle(w io.Writer, dir string, names ...string) error {
	out := tar.NewWriter(w)
	for _, name := range names {
		if err := bundle(out, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return out.Close()
}

func bundle(out *tar.Writer, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "./" + filepath.Base(name), Size: st.Size(), Mode: 0o600, ModTime: st.ModTime().Truncate(time.Second)}); err != nil {
		return err
	}
	_, err = io.Copy(out, f)
	return err
}
