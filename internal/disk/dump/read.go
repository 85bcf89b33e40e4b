package dump

import (
	"context"
	"encoding/binary"
	"io"
	"path"
	"slices"
	"strings"

	"hearth/internal/disk"
	"hearth/internal/disk/ext4"
	"hearth/internal/disk/tree"
)

const (
	maxFolders = 128 << 20 // bytes of all folders together
	maxXattrs  = 128 << 20 // bytes of all extended attributes together
	maxInodes  = 4 << 20   // and names
	maxXattr   = 64 << 10  // of one file, as restore's XATTR_MAXSIZE
	maxDepth   = 2048
)

// source is a dump.
type source struct {
	open func() (io.ReadCloser, error)
}

// File is the tree in the dump of a file. It is read twice: extended attributes
// come after what they belong to.
func File(name string) tree.Source {
	return &source{func() (io.ReadCloser, error) { return disk.OpenStream(name) }}
}

// inode is one file of a dump.
type inode struct {
	*header
	link   string
	xattrs map[string][]byte
	names  []string // its paths, sorted
}

// dirent is a name in a folder.
type dirent struct {
	name  string
	inode uint32
}

// reader reads a dump once.
type reader struct {
	in      *records
	inodes  map[uint32]*inode
	folders map[uint32][]dirent
	order   []uint32 // of files that are no folders
	bytes   int64    // of folders
	extra   int64    // bytes of extended attributes
	names   int      // in folders
	head    *header  // the one that was read last
}

// Walk implements [tree.Source]: all folders first, then the files in the order of
// their numbers.
func (s *source) Walk(ctx context.Context, visit tree.Visit) error {
	r, err := s.index(ctx)
	if err != nil {
		return err
	}
	dirs, err := r.paths()
	if err != nil {
		return err
	}
	for _, d := range dirs {
		i := r.inodes[d.inode]
		if err := visit(i.entry(d.name), nil); err != nil {
			return err
		}
	}
	f, err := s.open()
	if err != nil {
		return err
	}
	defer f.Close()
	again := &reader{inodes: map[uint32]*inode{}, folders: map[uint32][]dirent{}}
	return again.scan(ctx, f, func(h *header) error { return again.visit(r.inodes[h.inode], h, visit) })
}

// index reads all but the contents.
func (s *source) index(ctx context.Context) (*reader, error) {
	f, err := s.open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := &reader{inodes: map[uint32]*inode{}, folders: map[uint32][]dirent{}}
	return r, r.scan(ctx, f, r.note)
}

// scan goes through all headers. file is given the first header of each inode, and
// reads its content.
func (r *reader) scan(ctx context.Context, f io.Reader, file func(*header) error) error {
	in, _, err := newRecords(f)
	if err != nil {
		return err
	}
	r.in = in
	if err := r.next(); err != nil {
		return err
	}
	for r.head.kind != tsEnd {
		if err := ctx.Err(); err != nil {
			return err
		}
		switch h := r.head; h.kind {
		case tsClri, tsBits:
			if err := r.skip(h.count); err != nil {
				return err
			}
			if err := r.next(); err != nil {
				return err
			}
		case tsInode:
			if err := file(h); err != nil {
				return err
			}
		default:
			return refuse("a header of kind %d for inode %d where none can be", h.kind, h.inode)
		}
	}
	return nil
}

// next reads a header.
func (r *reader) next() error {
	b := make([]byte, recordSize)
	if err := r.in.next(b); err != nil {
		return err
	}
	var err error
	r.head, err = parse(b)
	return err
}

func (r *reader) skip(count int) error {
	b := make([]byte, recordSize)
	for range count {
		if err := r.in.next(b); err != nil {
			return err
		}
	}
	return nil
}

// note keeps what is to be known of an inode.
func (r *reader) note(h *header) error {
	if h.flags&flagExtra != 0 {
		return r.noteExtra(h)
	}
	if h.flags&flagMetaOnly != 0 {
		return unsupported("of inode %d the dump has no content (METAONLY)", h.inode)
	}
	if r.inodes[h.inode] != nil || len(r.inodes) >= maxInodes || h.inode < rootInode {
		return refuse("inode %d comes twice, or there are too many", h.inode)
	}
	slim := *h
	slim.address = nil
	i := &inode{header: &slim}
	r.inodes[h.inode] = i
	content := &content{r: r, of: h.inode, left: h.size, head: h, whole: h.mode&tree.TypeMask == tree.TypeDir}
	switch h.mode & tree.TypeMask {
	case tree.TypeDir:
		if r.bytes += h.size; r.bytes > maxFolders {
			return &disk.Error{Kind: disk.TooBig, Op: "read dump", Reason: "its folders are too big"}
		}
		b, err := io.ReadAll(content)
		if err != nil {
			return err
		}
		r.folders[h.inode], err = dirents(b)
		if r.names += len(r.folders[h.inode]); err != nil {
			return err
		}
		if r.names > maxInodes {
			return &disk.Error{Kind: disk.TooBig, Op: "read dump", Reason: "its folders have too many names"}
		}
	case tree.TypeLink:
		if h.size > 4095 {
			return refuse("inode %d is a symbolic link of %d bytes", h.inode, h.size)
		}
		b, err := io.ReadAll(content)
		if err != nil {
			return err
		}
		i.link = string(b)
		r.order = append(r.order, h.inode)
	default:
		if len(r.order) > 0 && r.order[len(r.order)-1] >= h.inode {
			return refuse("inode %d is out of order", h.inode)
		}
		r.order = append(r.order, h.inode)
	}
	return content.end()
}

// noteExtra keeps extended attributes.
func (r *reader) noteExtra(h *header) error {
	i := r.inodes[h.inode]
	if i == nil || h.extra != extraXattr || h.count > maxXattr/recordSize {
		return refuse("inode %d has additions of kind %d and %d blocks", h.inode, h.extra, h.count)
	}
	if r.extra += int64(h.count) * recordSize; r.extra > maxXattrs {
		return &disk.Error{Kind: disk.TooBig, Op: "read dump", Reason: "its extended attributes are too big"}
	}
	b := make([]byte, h.count*recordSize)
	for at := 0; at < len(b); at += recordSize { // whatever the addresses say: old dumps wrote them wrong
		if err := r.in.next(b[at : at+recordSize]); err != nil {
			return err
		}
	}
	x, err := ext4.DecodeXattrs(b)
	if err != nil {
		return err
	}
	if i.xattrs == nil {
		i.xattrs = map[string][]byte{}
	}
	for name, v := range x {
		i.xattrs[name] = v
	}
	return r.next()
}

// dirents reads a folder.
func dirents(b []byte) (list []dirent, err error) {
	le := binary.LittleEndian
	for len(b) >= 8 {
		number, size, length := le.Uint32(b), int(le.Uint16(b[4:])), int(b[7])
		if size < 8 || size > len(b) || length > size-8 {
			return nil, refuse("a broken entry in a folder")
		}
		name := string(b[8 : 8+length])
		b = b[size:]
		if number == 0 || name == "." || name == ".." {
			continue
		}
		if name == "" || strings.ContainsAny(name, "/\x00") {
			return nil, refuse("the name %q in a folder", name)
		}
		list = append(list, dirent{name, number})
	}
	slices.SortFunc(list, func(a, b dirent) int { return strings.Compare(a.name, b.name) })
	return list, nil
}

// paths gives each inode its names and lists the folders, parents first.
func (r *reader) paths() (dirs []dirent, err error) {
	if i := r.inodes[rootInode]; i == nil || r.folders[rootInode] == nil && i.mode&tree.TypeMask != tree.TypeDir {
		return nil, refuse("it has no root folder")
	}
	seen, count := map[uint32]bool{}, 0
	var walk func(name string, number uint32, depth int) error
	walk = func(name string, number uint32, depth int) error {
		i := r.inodes[number]
		switch count++; {
		case i == nil:
			return refuse("it lacks %s (inode %d)", name, number)
		case count > maxInodes || depth > maxDepth || len(name) > 4096:
			return &disk.Error{Kind: disk.TooBig, Op: "read dump", Reason: "its folders are too deep or have too many names"}
		}
		if i.mode&tree.TypeMask != tree.TypeDir {
			i.names = append(i.names, name)
			return nil
		}
		if seen[number] {
			return refuse("the folder %s has another name", name)
		}
		seen[number] = true
		dirs = append(dirs, dirent{name, number})
		for _, e := range r.folders[number] {
			if err := walk(path.Join(name, e.name), e.inode, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	return dirs, walk("/", rootInode, 0)
}

// entry is an inode under one of its names.
func (i *inode) entry(name string) *tree.Entry {
	e := &tree.Entry{Path: name, Mode: i.mode, UID: int(i.uid), GID: int(i.gid), MTime: i.mtime, Link: i.link, Xattrs: i.xattrs}
	if e.Type() == tree.TypeFile {
		e.Size = i.size
	}
	if e.IsDevice() {
		old, wide := i.device[0], i.device[1]
		e.Major, e.Minor = old>>8&0xff, old&0xff
		if old == 0 {
			e.Major, e.Minor = wide>>8&0xfff, wide&0xff|wide>>12&0xfff00
		}
	}
	return e
}

// visit hands on a file with all its names.
func (r *reader) visit(i *inode, h *header, visit tree.Visit) error {
	if h.flags&flagExtra != 0 {
		if err := r.skip(h.count); err != nil {
			return err
		}
		return r.next()
	}
	content := &content{r: r, of: h.inode, left: h.size, head: h}
	if i == nil {
		return refuse("the dump changed while it was read")
	}
	for n, name := range i.names {
		e := i.entry(name)
		var in io.Reader
		if n > 0 {
			e.Same = i.names[0]
		} else if e.Type() == tree.TypeFile {
			in = content
		}
		if err := visit(e, in); err != nil {
			return err
		}
	}
	return content.end()
}

// content reads the blocks of an inode; holes are zeros.
type content struct {
	r     *reader
	of    uint32
	left  int64 // bytes
	head  *header
	at    int  // in the blocks of head
	whole bool // may have no holes
	buf   [recordSize]byte
	have  []byte
}

// Read implements io.Reader.
func (c *content) Read(p []byte) (int, error) {
	for len(c.have) == 0 {
		if c.left == 0 {
			return 0, io.EOF
		}
		if err := c.block(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.have)
	c.have = c.have[n:]
	return n, nil
}

// block reads the next block.
func (c *content) block() error {
	if c.at == c.head.count {
		if err := c.r.next(); err != nil {
			return err
		}
		if h := c.r.head; h.kind != tsAddr || h.inode != c.of || h.count == 0 {
			return refuse("inode %d ends too early", c.of)
		}
		c.head, c.at = c.r.head, 0
	}
	if c.head.count > addresses {
		return refuse("inode %d has a header of %d blocks", c.of, c.head.count)
	}
	switch {
	case c.head.address[c.at] != 0:
		if err := c.r.in.next(c.buf[:]); err != nil {
			return err
		}
	case c.whole:
		return refuse("the folder of inode %d has a hole", c.of)
	default:
		clear(c.buf[:])
	}
	c.at++
	c.have = c.buf[:min(c.left, recordSize)]
	c.left -= int64(len(c.have))
	return nil
}

// end passes by what nobody read, and reads the next header.
func (c *content) end() error {
	for c.left > 0 {
		if err := c.block(); err != nil {
			return err
		}
	}
	if c.head.count > addresses {
		return refuse("inode %d has a header of %d blocks", c.of, c.head.count)
	}
	for ; c.at < c.head.count; c.at++ { // reserved past the end
		if c.head.address[c.at] != 0 {
			if err := c.r.in.next(c.buf[:]); err != nil {
				return err
			}
		}
	}
	for {
		if err := c.r.next(); err != nil {
			return err
		}
		h := c.r.head
		if h.kind != tsAddr {
			return nil
		}
		if h.inode != c.of || h.count > addresses {
			return refuse("a header of inode %d where none can be", h.inode)
		}
		for n := range h.count {
			if h.address[n] != 0 {
				if err := c.r.in.next(c.buf[:]); err != nil {
					return err
				}
			}
		}
	}
}
