package ext4

import (
	"encoding/binary"
	"io"
	"slices"
)

const (
	maxRuns  = 1 << 20 // of one file; 24 MiB of memory
	maxNodes = 1 << 17 // blocks of a file's own tree
)

// run is a stretch of blocks of a file. Those that no run has are zeros.
type run struct{ at, block, count uint64 }

// mapper gathers the runs of one file.
type mapper struct {
	f     *FS
	runs  []run
	nodes int
	end   uint64 // blocks the file can have
}

// Data is the content of a file.
type Data struct {
	f      *FS
	size   int64
	runs   []run
	inline []byte
}

// Data finds where the content of a file lies. A folder has its entries in it,
// see [FS.ReadDir].
func (f *FS) Data(n *Inode) (*Data, error) {
	if n.flags&flagEncrypt != 0 {
		return nil, unsupported("inode %d is encrypted", n.Number)
	}
	d := &Data{f: f, size: n.Size}
	if n.flags&flagInline != 0 {
		var err error
		d.inline, err = f.inlineData(n)
		return d, err
	}
	m := &mapper{f: f, end: (uint64(n.Size) + uint64(f.BlockSize) - 1) / uint64(f.BlockSize)}
	var err error
	if n.flags&flagExtents != 0 {
		err = m.extents(n.data[:], -1)
	} else {
		err = m.indirect(n)
	}
	d.runs = m.runs
	return d, err
}

// add takes the next run; they come in order.
func (m *mapper) add(r run) error {
	if r.count == 0 || r.at >= m.end { // blocks that were reserved past the end
		return nil
	}
	r.count = min(r.count, m.end-r.at)
	if r.block == 0 || r.block >= m.f.blocks || r.count > m.f.blocks-r.block {
		return refuse("a file has blocks %d to %d of %d", r.block, r.block+r.count, m.f.blocks)
	}
	if len(m.runs) > 0 {
		last := &m.runs[len(m.runs)-1]
		if r.at < last.at+last.count {
			return refuse("the blocks of a file are out of order")
		}
		if r.at == last.at+last.count && r.block == last.block+last.count {
			last.count += r.count
			return nil
		}
	}
	if len(m.runs) >= maxRuns {
		return unsupported("a file is in more than %d pieces", maxRuns)
	}
	m.runs = append(m.runs, r)
	return nil
}

func (m *mapper) node(block uint64) ([]byte, error) {
	if m.nodes++; m.nodes > maxNodes {
		return nil, unsupported("a file's map has more than %d blocks", maxNodes)
	}
	return m.f.block(block)
}

// extents walks a node of the extent tree; depth is that which its parent
// promised, -1 for the root.
func (m *mapper) extents(b []byte, depth int) error {
	le := binary.LittleEndian
	count, here := int(le.Uint16(b[2:])), int(le.Uint16(b[6:]))
	if le.Uint16(b) != 0xf30a || here > 5 || depth >= 0 && here != depth || count > (len(b)-12)/12 {
		return refuse("a broken node in the extents of a file")
	}
	for i := range count {
		e := b[12+12*i:][:12]
		if here == 0 {
			if err := m.extent(e); err != nil {
				return err
			}
			continue
		}
		child, err := m.node(uint64(le.Uint32(e[4:])) | uint64(le.Uint16(e[8:]))<<32)
		if err != nil {
			return err
		}
		if err := m.extents(child, here-1); err != nil {
			return err
		}
	}
	return nil
}

func (m *mapper) extent(e []byte) error {
	le := binary.LittleEndian
	count := uint64(le.Uint16(e[4:]))
	if count > 1<<15 { // allocated, never written: reads as zeros
		return nil
	}
	return m.add(run{uint64(le.Uint32(e)), uint64(le.Uint32(e[8:])) | uint64(le.Uint16(e[6:]))<<32, count})
}

// indirect walks the twelve direct and three indirect pointers of ext2 and ext3.
func (m *mapper) indirect(n *Inode) error {
	for i := range 12 {
		if err := m.pointer(n.data[4*i:], uint64(i), 0); err != nil {
			return err
		}
	}
	at, per := uint64(12), uint64(m.f.BlockSize/4)
	span := uint64(1)
	for level := 1; level <= 3; level++ {
		if err := m.pointer(n.data[4*(11+level):], at, level); err != nil {
			return err
		}
		span *= per
		at += span
	}
	return nil
}

// pointer follows one pointer whose blocks begin at at.
func (m *mapper) pointer(p []byte, at uint64, level int) error {
	block := uint64(binary.LittleEndian.Uint32(p))
	if block == 0 || at >= m.end {
		return nil
	}
	if level == 0 {
		return m.add(run{at, block, 1})
	}
	b, err := m.node(block)
	if err != nil {
		return err
	}
	span, per := uint64(1), uint64(m.f.BlockSize/4)
	for range level - 1 {
		span *= per
	}
	for i := range per {
		if err := m.pointer(b[4*i:], at+i*span, level-1); err != nil {
			return err
		}
	}
	return nil
}

// Size is how many bytes there are.
func (d *Data) Size() int64 { return d.size }

// ReadAt implements io.ReaderAt.
func (d *Data) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= d.size {
		return 0, io.EOF
	}
	short := int64(len(p)) > d.size-off
	if short {
		p = p[:d.size-off]
	}
	if d.inline != nil {
		clear(p[copy(p, d.inline[min(off, int64(len(d.inline))):]):])
	} else if err := d.blocks(p, off); err != nil {
		return 0, err
	}
	if short {
		return len(p), io.EOF
	}
	return len(p), nil
}

func (d *Data) blocks(p []byte, off int64) error {
	size := d.f.BlockSize
	i, _ := slices.BinarySearchFunc(d.runs, uint64(off/size), func(r run, at uint64) int {
		switch {
		case r.at+r.count <= at:
			return -1
		case r.at > at:
			return 1
		}
		return 0
	})
	for len(p) > 0 {
		if i == len(d.runs) {
			clear(p)
			return nil
		}
		r := d.runs[i]
		begin, end := int64(r.at)*size, int64(r.at+r.count)*size
		if off < begin {
			hole := min(begin-off, int64(len(p)))
			clear(p[:hole])
			p, off = p[hole:], off+hole
			continue
		}
		n := min(end-off, int64(len(p)))
		if n <= 0 {
			i++
			continue
		}
		if err := d.f.read(p[:n], int64(r.block)*size+off-begin); err != nil {
			return err
		}
		p, off, i = p[n:], off+n, i+1
	}
	return nil
}

// Reader reads the content from its beginning.
func (d *Data) Reader() io.Reader { return io.NewSectionReader(d, 0, d.size) }

// Stretch is a part of a file that is not a hole.
type Stretch struct{ Offset, Length int64 }

// Stretches lists what of the content is stored; the rest are zeros.
func (d *Data) Stretches() (list []Stretch) {
	if d.inline != nil {
		return []Stretch{{0, d.size}}
	}
	for _, r := range d.runs {
		from, to := int64(r.at)*d.f.BlockSize, min(int64(r.at+r.count)*d.f.BlockSize, d.size)
		if n := len(list); n > 0 && list[n-1].Offset+list[n-1].Length == from {
			list[n-1].Length += to - from
		} else {
			list = append(list, Stretch{from, to - from})
		}
	}
	return list
}

// Place is a part of a file and where it lies in the file system. In bytes.
type Place struct{ Offset, At, Length int64 }

// Places lists where the content is stored, for what reads it without knowing the file
// system: a boot loader. Nothing is listed of a file that lies in its inode.
func (d *Data) Places() (list []Place) {
	size := d.f.BlockSize
	for _, r := range d.runs {
		list = append(list, Place{int64(r.at) * size, int64(r.block) * size, int64(r.count) * size})
	}
	return list
}
