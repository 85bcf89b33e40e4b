package dump

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"hearth/internal/disk"
	"hearth/internal/disk/ext4"
	"hearth/internal/disk/tree"
)

// Options says how a dump is written.
type Options struct {
	Compress bool      // by zlib, as dump -z
	Label    string    // at most 15 bytes
	Dir      string    // where the file system is mounted, for restore -t
	Date     time.Time // of the dump; zero: the newest time of a file, so that the same tree gives the same bytes
}

// ErrNoRoot is Write's error of a tree with nothing in it, not even its root folder.
var ErrNoRoot error = &disk.Error{Kind: disk.Refused, Op: "write dump", Reason: "the tree has no root folder"}

// Write dumps a tree, at level 0 and as the root of a file system. The tree is
// walked twice, and must be the same both times.
func Write(ctx context.Context, w io.Writer, opt Options, from tree.Source) error {
	d := &dumper{opt: opt, out: &writer{out: w, packed: opt.Compress}, files: map[string]*item{}}
	if err := from.Walk(ctx, d.collect); err != nil {
		return err
	}
	if err := d.number(); err != nil {
		return err
	}
	if err := d.begin(); err != nil {
		return err
	}
	for _, i := range d.dirs {
		if err := d.inode(i, d.entries(i)); err != nil {
			return err
		}
	}
	err := from.Walk(ctx, func(e *tree.Entry, content io.Reader) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		i := d.files[e.Path]
		if i == nil {
			return fmt.Errorf("dump: %s came while it was dumped", e.Path)
		}
		if i.Type() == tree.TypeDir || i.Same != "" {
			return nil
		}
		return d.file(i, content)
	})
	if err != nil {
		return err
	}
	return d.end()
}

// item is one inode, or another name of one.
type item struct {
	tree.Entry
	number   uint32
	links    int
	children []string // names in a folder
}

type dumper struct {
	opt   Options
	out   *writer
	files map[string]*item // by path
	order []*item          // as they came
	dirs  []*item          // in the order of their numbers
	last  uint32           // the highest number
}

// collect keeps what is to be known before the first byte is written.
func (d *dumper) collect(e *tree.Entry, _ io.Reader) error {
	if e.MTime.After(d.opt.Date) && d.opt.Date.Year() < 2038 {
		d.opt.Date = e.MTime
	}
	if old := d.files[e.Path]; old != nil {
		if old.Type() != tree.TypeDir || e.Type() != tree.TypeDir {
			return &disk.Error{Kind: disk.Unsupported, Op: "write dump", Reason: e.Path + " comes twice"}
		}
		old.Entry = *e
		return nil
	}
	i := &item{Entry: *e, links: 1}
	if i.MTime.IsZero() {
		i.MTime = time.Unix(0, 0)
	}
	i.Stored = nil
	d.files[e.Path] = i
	d.order = append(d.order, i)
	return nil
}

// number gives each file a number, as they came, and each folder its names.
func (d *dumper) number() error {
	d.last = firstInode - 1
	root := d.files["/"]
	if root == nil || root.Type() != tree.TypeDir {
		return ErrNoRoot
	}
	for _, i := range d.order {
		parent, name := split(i.Path)
		switch {
		case i == root:
			i.number = rootInode
		case i.Same != "":
			first := d.files[i.Same]
			if first == nil || first.number == 0 || first.Type() == tree.TypeDir || first.Same != "" {
				return &disk.Error{Kind: disk.Refused, Op: "write dump", Reason: fmt.Sprintf("%s is a hard link to %s, which is no file before it", i.Path, i.Same)}
			}
			i.number = first.number
			first.links++
		default:
			d.last++
			i.number = d.last
		}
		if i == root {
			continue
		}
		in := d.files[parent]
		if in == nil || in.Type() != tree.TypeDir {
			return &disk.Error{Kind: disk.Refused, Op: "write dump", Reason: i.Path + " is in no folder"}
		}
		in.children = append(in.children, name)
		if i.Type() == tree.TypeDir {
			in.links++
		}
	}
	for _, i := range d.order {
		if i.Type() == tree.TypeDir {
			i.links++
			d.dirs = append(d.dirs, i)
			slices.Sort(i.children)
		}
	}
	slices.SortFunc(d.dirs, func(a, b *item) int { return int(int64(a.number) - int64(b.number)) })
	return nil
}

func split(name string) (dir, base string) {
	at := strings.LastIndexByte(name, '/')
	return name[:max(at, 1)], name[at+1:]
}

func (d *dumper) header(kind int32, number uint32) *header {
	h := &header{kind: kind, date: int32(d.opt.Date.Unix()), volume: 1, record: d.out.count, inode: number, mtime: time.Unix(0, 0), label: d.opt.Label, dir: d.opt.Dir,
		flags: flagNewInodes, ntrec: perBlock}
	if d.opt.Compress {
		h.flags |= flagPacked
	}
	return h
}

// begin writes the header of the volume and the two maps, which are the same at level 0.
func (d *dumper) begin() error {
	h := d.header(tsTape, 0)
	h.flags |= flagNewHeader
	if err := d.out.record(h.bytes()); err != nil {
		return err
	}
	bits := make([]byte, (d.last/8/recordSize+1)*recordSize)
	for _, i := range d.order {
		bits[(i.number-1)/8] |= 1 << ((i.number - 1) % 8)
	}
	for _, kind := range []int32{tsClri, tsBits} {
		number := d.last
		if kind == tsBits {
			number = rootInode
		}
		h := d.header(kind, number)
		h.count, h.size = len(bits)/recordSize, int64(len(bits))
		if err := d.out.record(h.bytes()); err != nil {
			return err
		}
		for at := 0; at < len(bits); at += recordSize {
			if err := d.out.record(bits[at : at+recordSize]); err != nil {
				return err
			}
		}
	}
	return nil
}

// end fills the last block, so that restore finds one whole.
func (d *dumper) end() error {
	for n := perBlock - int(d.out.count%perBlock); n > 0; n-- {
		if err := d.out.record(d.header(tsEnd, d.last).bytes()); err != nil {
			return err
		}
	}
	return nil
}

// entries is a folder in the form of 4.4BSD: no entry crosses 512 bytes.
func (d *dumper) entries(dir *item) []byte {
	const chunk = 512
	var b []byte
	last := 0 // where the last entry begins
	add := func(number uint32, kind byte, name string) {
		size := (8 + len(name) + 1 + 3) &^ 3
		if left := chunk - len(b)%chunk; len(b)%chunk != 0 && size > left || len(b) > 0 && left == chunk {
			if left != chunk {
				binary.LittleEndian.PutUint16(b[last+4:], uint16(len(b)-last+left))
				b = append(b, make([]byte, left)...)
			}
		}
		last = len(b)
		b = binary.LittleEndian.AppendUint32(b, number)
		b = binary.LittleEndian.AppendUint16(b, uint16(size))
		b = append(append(b, kind, byte(len(name))), name...)
		b = append(b, make([]byte, size-8-len(name))...)
	}
	parent, _ := split(dir.Path)
	add(dir.number, 4, ".")
	add(d.files[parent].number, 4, "..")
	for _, name := range dir.children {
		full := dir.Path + "/" + name
		if dir.Path == "/" {
			full = "/" + name
		}
		i := d.files[full]
		of := i
		if i.Same != "" {
			of = d.files[i.Same]
		}
		add(i.number, byte(of.Type()>>12), name)
	}
	if rest := len(b) % chunk; rest != 0 {
		binary.LittleEndian.PutUint16(b[last+4:], uint16(len(b)-last+chunk-rest))
		b = append(b, make([]byte, chunk-rest)...)
	}
	return b
}

func (d *dumper) file(i *item, content io.Reader) error {
	switch i.Type() {
	case tree.TypeFile:
		return d.data(i, i.Size, content, true)
	case tree.TypeLink:
		return d.data(i, int64(len(i.Link)), strings.NewReader(i.Link), false)
	}
	return d.data(i, 0, nil, false)
}

func (d *dumper) inode(i *item, content []byte) error {
	return d.data(i, int64(len(content)), bytes.NewReader(content), false)
}

// data writes an inode: headers, each with up to 512 blocks, and what it has
// besides. Four blocks at a time of a file may be a hole.
func (d *dumper) data(i *item, size int64, content io.Reader, holes bool) error {
	h := d.header(tsInode, i.number)
	h.mode, h.links, h.uid, h.gid, h.mtime, h.size = i.Mode, i.links, uint32(i.UID), uint32(i.GID), i.MTime, size
	if i.IsDevice() {
		h.device[0] = i.Major<<8 | i.Minor
		if i.Major > 255 || i.Minor > 255 {
			h.device = [2]uint32{0, i.Minor&0xff | i.Major<<8 | i.Minor&^0xff<<12}
		}
	}
	if size == 0 {
		if err := d.out.record(h.bytes()); err != nil {
			return err
		}
		return d.xattrs(i, h)
	}
	buf := make([]byte, addresses*recordSize)
	for left := size; left > 0; {
		n := min(left, int64(len(buf)))
		if _, err := io.ReadFull(content, buf[:n]); err != nil {
			return fmt.Errorf("%s became shorter while it was dumped: %w", i.Path, err)
		}
		clear(buf[n:])
		if err := d.piece(h, buf[:(n+recordSize-1)/recordSize*recordSize], holes); err != nil {
			return err
		}
		left -= n
		h.kind = tsAddr
	}
	return d.xattrs(i, h)
}

var zeros [4 * recordSize]byte

// piece writes a header and the blocks of b.
func (d *dumper) piece(h *header, b []byte, holes bool) error {
	h.count, h.record = len(b)/recordSize, d.out.count
	h.address = make([]byte, addresses)
	for at := 0; at < len(b); at += len(zeros) {
		group := b[at:min(at+len(zeros), len(b))]
		if holes && bytes.Equal(group, zeros[:len(group)]) {
			continue
		}
		for n := range (len(group) + recordSize - 1) / recordSize {
			h.address[at/recordSize+n] = 1
		}
	}
	if err := d.out.record(h.bytes()); err != nil {
		return err
	}
	for n := range h.count {
		if h.address[n] == 0 {
			continue
		}
		if err := d.out.record(b[n*recordSize:][:recordSize]); err != nil {
			return err
		}
	}
	return nil
}

// xattrs writes extended attributes as a block of ext2's, whatever its size.
func (d *dumper) xattrs(i *item, of *header) error {
	if len(i.Xattrs) == 0 {
		return nil
	}
	b, err := ext4.EncodeXattrs(i.Xattrs, recordSize)
	if err != nil {
		return fmt.Errorf("%s: %w", i.Path, err)
	}
	h := *of
	h.kind, h.size, h.extra, h.flags = tsInode, int64(len(b)), extraXattr, h.flags|flagExtra
	return d.piece(&h, b, false)
}
