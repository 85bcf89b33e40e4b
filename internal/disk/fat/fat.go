package fat

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"hearth/internal/disk"
)

const (
	sectorSize = 512
	maxEntries = 1 << 16 // of a folder
	maxDepth   = 16      // of folders
	maxRewrite = 1 << 20 // bytes
)

// FS is a FAT12, FAT16 or FAT32.
type FS struct {
	r       io.ReaderAt
	cluster int64 // bytes
	table   int64 // where the first one is
	data    int64 // where cluster 2 is
	count   uint32
	bits    int   // of an entry in the table
	rootAt  int64 // of FAT12 and FAT16
	rootLen int64
	root    uint32 // first cluster, of FAT32
}

func refuse(format string, args ...any) error {
	return &disk.Error{Kind: disk.Refused, Op: "read FAT", Reason: fmt.Sprintf(format, args...)}
}

// Open reads the boot sector of a file system of so many bytes, by Microsoft's FAT
// specification 1.03. What it names lies within the bytes.
func Open(r io.ReaderAt, size int64) (*FS, error) {
	b := make([]byte, sectorSize)
	if _, err := r.ReadAt(b, 0); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	per, sectors := int64(le.Uint16(b[11:])), int64(b[13])
	if per < 512 || per > 4096 || per&(per-1) != 0 || sectors == 0 || sectors&(sectors-1) != 0 || b[510] != 0x55 || b[511] != 0xaa {
		return nil, refuse("this is no boot sector of a FAT")
	}
	reserved, tables, entries := int64(le.Uint16(b[14:])), int64(b[16]), int64(le.Uint16(b[17:]))
	total, length := int64(le.Uint16(b[19:])), int64(le.Uint16(b[22:]))
	if total == 0 {
		total = int64(le.Uint32(b[32:]))
	}
	wide := length == 0
	if wide {
		length = int64(le.Uint32(b[36:]))
	}
	f := &FS{r: r, cluster: per * sectors, table: reserved * per, rootAt: (reserved + tables*length) * per, rootLen: entries * 32}
	f.data = f.rootAt + (f.rootLen+per-1)/per*per
	if reserved == 0 || tables == 0 || length == 0 || total*per > size || f.data >= total*per {
		return nil, refuse("the boot sector says more than there is")
	}
	clusters := (total*per - f.data) / f.cluster
	switch {
	case wide:
		f.bits, f.root = 32, le.Uint32(b[44:])
	case clusters < 4085:
		f.bits = 12
	default:
		f.bits = 16
	}
	f.count = uint32(min(clusters, length*per*8/int64(f.bits)-2))
	return f, nil
}

// next is the cluster after this one; ok is false at the end.
func (f *FS) next(n uint32) (uint32, bool, error) {
	var b [4]byte
	at := f.table + int64(n)*int64(f.bits)/8
	if _, err := f.r.ReadAt(b[:max(2, f.bits/8)], at); err != nil {
		return 0, false, err
	}
	v := binary.LittleEndian.Uint32(b[:])
	switch f.bits {
	case 12:
		if n&1 == 1 {
			v >>= 4
		}
		v &= 0xfff
		return v, v < 0xff8, nil
	case 16:
		v &= 0xffff
		return v, v < 0xfff8, nil
	}
	v &= 0x0fffffff
	return v, v < 0x0ffffff8, nil
}

// chain lists the clusters of a file or folder, at most max bytes of them.
func (f *FS) chain(first uint32, max int64) (list []uint32, err error) {
	for n, ok := first, true; ok; {
		if n < 2 || n-2 >= f.count {
			return nil, refuse("a chain leads to cluster %d of %d", n, f.count)
		}
		list = append(list, n)
		if int64(len(list)) > int64(f.count) || int64(len(list)-1)*f.cluster > max {
			return nil, refuse("a chain of clusters has no end")
		}
		if n, ok, err = f.next(n); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (f *FS) at(cluster uint32) int64 { return f.data + int64(cluster-2)*f.cluster }

// read gives the content of clusters.
func (f *FS) read(list []uint32) ([]byte, error) {
	b := make([]byte, int64(len(list))*f.cluster)
	for i, n := range list {
		if _, err := f.r.ReadAt(b[int64(i)*f.cluster:][:f.cluster], f.at(n)); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// ReadFile reads a file of at most max bytes; fs.ErrNotExist if there is none.
func (f *FS) ReadFile(name string, max int64) ([]byte, error) {
	e, err := f.find(name)
	if err != nil {
		return nil, err
	}
	if e.Dir {
		return nil, refuse("%s is a folder", name)
	}
	if e.Size > max {
		return nil, refuse("%s has %d bytes, more than %d", name, e.Size, max)
	}
	if e.Size == 0 {
		return nil, nil
	}
	list, err := f.chain(e.first, max)
	if err != nil {
		return nil, err
	}
	if e.Size > int64(len(list))*f.cluster {
		return nil, refuse("%s is shorter than it says", name)
	}
	b, err := f.read(list)
	return b[:min(int64(len(b)), e.Size)], err
}

// Rewrite replaces the content of a file in its own clusters, which must suffice. The
// file system is at start of w.
func (f *FS) Rewrite(w disk.ReadWriterAt, start int64, name string, data []byte) error {
	e, err := f.find(name)
	if err != nil {
		return err
	}
	if e.Dir || e.Size == 0 {
		return refuse("%s has no content that could be replaced", name)
	}
	list, err := f.chain(e.first, maxRewrite)
	if err != nil {
		return err
	}
	if int64(len(data)) > int64(len(list))*f.cluster || len(data) == 0 {
		return refuse("%s has room for %d bytes, not for %d", name, int64(len(list))*f.cluster, len(data))
	}
	padded := make([]byte, int64(len(list))*f.cluster)
	copy(padded, data)
	for i, n := range list {
		if _, err := w.WriteAt(padded[int64(i)*f.cluster:][:f.cluster], start+f.at(n)); err != nil {
			return err
		}
	}
	var size [4]byte
	binary.LittleEndian.PutUint32(size[:], uint32(len(data)))
	_, err = w.WriteAt(size[:], start+e.at+28)
	return err
}

// find follows the names of an absolute path; letters are alike in both cases.
func (f *FS) find(name string) (Entry, error) {
	e := Entry{Dir: true, first: f.root, top: true}
	depth := 0
	for part := range strings.SplitSeq(strings.Trim(name, "/"), "/") {
		if part == "" {
			continue
		}
		if depth++; depth > maxDepth || !e.Dir {
			return e, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
		}
		list, err := f.entries(e)
		if err != nil {
			return e, err
		}
		found := false
		for _, c := range list {
			if found = strings.EqualFold(c.Name, part) || strings.EqualFold(c.short, part); found {
				e = c
				break
			}
		}
		if !found {
			return e, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
		}
	}
	return e, nil
}

// ReadDir lists the names in a folder.
func (f *FS) ReadDir(name string) (names []string, err error) {
	e, err := f.find(name)
	if err == nil && !e.Dir {
		err = refuse("%s is no folder", name)
	}
	if err != nil {
		return nil, err
	}
	list, err := f.entries(e)
	for _, c := range list {
		names = append(names, c.Name)
	}
	return names, err
}

// Glob lists what matches a pattern of path.Match in its last name; nothing if the folder
// is not there.
func (f *FS) Glob(pattern string) (found []string, err error) {
	dir, last := path.Split(pattern)
	names, err := f.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, n := range names {
		if ok, merr := path.Match(strings.ToLower(last), strings.ToLower(n)); merr != nil {
			return nil, merr
		} else if ok {
			found = append(found, path.Join(dir, n))
		}
	}
	return found, err
}
