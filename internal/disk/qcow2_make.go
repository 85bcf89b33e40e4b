package disk

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

// deflateLevel of clusters packed by zlib: smaller than what qemu-img makes, which
// looks back 4 KiB only, at a fraction of its time. What reads qcow2 unpacks a
// cluster at one go, and so takes any distance within it.
const deflateLevel = 5

// MakeQCOW2 writes a disk to f, an empty file, as qcow2 without a backing file, in
// one pass; clusters of zeros take no room, the others are packed by "zlib" or
// "zstd", on all processors, or as they are ("": version 3, of any QEMU since 1.1).
// done is told how many bytes of the disk are made; it may be nil. The size of the
// disk is given. What it needs of memory does not grow with what is on the disk, but
// by 16 MiB for each TiB of it.
func MakeQCOW2(ctx context.Context, f *os.File, feed Feed, compress string, done func(int64)) (int64, error) {
	work, err := clusterPacker(compress)
	if err != nil {
		return 0, err
	}
	m := &qcow2Maker{f: f, end: 1, refs: []uint16{1}, l2: make([]byte, outCluster)}
	err = pipeline(ctx, feed.next, work, func(b *batch) error {
		if err := m.put(b); err != nil {
			return err
		}
		if done != nil {
			done(m.size)
		}
		return nil
	})
	if err == nil {
		err = m.finish(compress)
	}
	return m.size, err
}

// clusterPacker makes of a batch its clusters, in parts: nil for zeros, and packed
// if that is shorter.
func clusterPacker(compress string) (func(*batch) error, error) {
	pack := func([]byte) ([]byte, error) { return nil, nil }
	switch compress {
	case "":
	case "zlib":
		pool := sync.Pool{New: func() any {
			w, _ := flate.NewWriter(nil, deflateLevel) // the level is one of its own
			return w
		}}
		pack = func(cluster []byte) ([]byte, error) {
			w := pool.Get().(*flate.Writer)
			defer pool.Put(w)
			out := bytes.NewBuffer(make([]byte, 0, outCluster))
			w.Reset(out)
			_, err := w.Write(cluster)
			if err = errors.Join(err, w.Close()); err != nil {
				return nil, err
			}
			return out.Bytes(), nil
		}
	case "zstd":
		enc, err := zstd.NewWriter(nil, zstd.WithEncoderCRC(false), zstd.WithWindowSize(outCluster))
		if err != nil {
			return nil, err
		}
		pack = func(cluster []byte) ([]byte, error) { return enc.EncodeAll(cluster, make([]byte, 0, outCluster)), nil }
	default:
		return nil, fail(Unsupported, "convert image", "a qcow2 is compressed by zlib or zstd, not by %q", compress)
	}
	return func(b *batch) error {
		clear(b.buf[len(b.data):min(len(b.buf), (len(b.data)+outCluster-1)/outCluster*outCluster)])
		for at := 0; at < len(b.data); at += outCluster {
			cluster := b.buf[at : at+outCluster]
			if isZero(cluster) {
				b.parts = append(b.parts, nil)
				continue
			}
			packed, err := pack(cluster)
			if err != nil {
				return err
			}
			if len(packed) == 0 || len(packed) >= outCluster {
				packed = cluster
			}
			b.parts = append(b.parts, packed)
		}
		return nil
	}, nil
}

// isZero tells whether there is nothing but zeros.
func isZero(p []byte) bool {
	for len(p) > 0 {
		n := min(len(p), len(zeros))
		if !bytes.Equal(p[:n], zeros[:n]) {
			return false
		}
		p = p[n:]
	}
	return true
}

// qcow2Maker puts clusters into a file as they come: the header, which knows
// where all else is, at the very end, each L2 table behind the clusters it names.
type qcow2Maker struct {
	f    *os.File
	size int64 // of the disk so far

	end  int64    // the first cluster of the file that is free
	free int64    // the byte where the next packed cluster may begin; 0: none
	refs []uint16 // of each cluster of the file

	l1    []uint64
	l2    []byte
	table int64 // that l2 is
	used  bool  // l2 names something

	out  []byte // to be written at at
	at   int64
	lent bool   // out is memory of another, which nobody changes before it is written
	own  []byte // for what comes in small pieces
}

func (m *qcow2Maker) put(b *batch) error {
	first := b.off / outCluster
	for i, part := range b.parts {
		if part == nil {
			continue
		}
		if err := m.turn((first + int64(i)) / (outCluster / 8)); err != nil {
			return err
		}
		place := m.place(len(part))
		entry := uint64(place) | copied
		if len(part) < outCluster {
			const packed = 1 << 62
			sectors := (place+int64(len(part))-1)/512 - place/512
			entry = uint64(place) | uint64(sectors)<<(62-(outBits-8)) | packed
		}
		binary.BigEndian.PutUint64(m.l2[8*((first+int64(i))%(outCluster/8)):], entry)
		m.used = true
		if err := m.write(place, part); err != nil {
			return err
		}
	}
	m.size = b.off + b.length()
	return m.flush()
}

// take gives n free clusters of the file that follow each other.
func (m *qcow2Maker) take(n int64) int64 {
	first := m.end
	m.end += n
	for range n {
		m.refs = append(m.refs, 1)
	}
	return first * outCluster
}

// place finds room for a cluster: packed ones follow each other without a gap,
// across the clusters of the file as long as these are neighbours.
func (m *qcow2Maker) place(n int) int64 {
	if n == outCluster {
		return m.take(1)
	}
	left := (outCluster - m.free%outCluster) % outCluster
	if int64(n) > left && (left == 0 || m.free/outCluster+1 != m.end) {
		m.free, left = m.take(1), outCluster
		m.refs[m.end-1] = 0
	}
	place := m.free
	if int64(n) > left {
		m.take(1)
		m.refs[m.end-1] = 0
	}
	m.free += int64(n)
	for c := place / outCluster; c <= (m.free-1)/outCluster; c++ {
		m.refs[c]++
	}
	return place
}

// write gathers what follows each other: clusters that do so in memory too, those of a
// batch that is not packed, without copying them. p stays as it is until flush.
func (m *qcow2Maker) write(place int64, p []byte) error {
	follows := len(m.out) > 0 && place == m.at+int64(len(m.out))
	switch n := len(m.out); {
	case follows && !m.lent:
		m.own = append(m.own, p...)
		m.out = m.own
		return nil
	case follows && n+len(p) <= cap(m.out) && &m.out[:n+1][n] == &p[0]:
		m.out = m.out[:n+len(p)]
		return nil
	}
	if err := m.flush(); err != nil {
		return err
	}
	m.at = place
	if m.lent = len(p) == outCluster; m.lent {
		m.out = p
		return nil
	}
	m.own = append(m.own[:0], p...)
	m.out = m.own
	return nil
}

func (m *qcow2Maker) flush() error {
	if len(m.out) == 0 {
		return nil
	}
	_, err := m.f.WriteAt(m.out, m.at)
	m.out = nil
	return err
}

// turn makes l2 the table of a number, and writes the one before.
func (m *qcow2Maker) turn(table int64) error {
	if table == m.table {
		return nil
	}
	if m.used {
		for int64(len(m.l1)) <= m.table {
			m.l1 = append(m.l1, 0)
		}
		place := m.take(1)
		m.l1[m.table] = uint64(place) | copied
		if err := errors.Join(m.write(place, m.l2), m.flush()); err != nil {
			return err
		}
		clear(m.l2)
	}
	m.table, m.used = table, false
	return nil
}

// finish writes the last tables and, when all else is there, the header.
func (m *qcow2Maker) finish(compress string) error {
	if err := m.turn(-1); err != nil {
		return err
	}
	be := binary.BigEndian
	perTable := int64(outCluster / 8 * outCluster)
	entries := (m.size + perTable - 1) / perTable
	l1 := make([]byte, (entries*8+outCluster-1)/outCluster*outCluster) // none of a disk without bytes
	for i, e := range m.l1 {
		be.PutUint64(l1[8*i:], e)
	}
	l1At := m.take(int64(len(l1)) / outCluster)
	if err := m.write(l1At, l1); err != nil {
		return err
	}
	tables, blocks := int64(0), int64(0)
	for sum := m.end; blocks*(outCluster/2) < sum || tables*(outCluster/8) < blocks; sum = m.end + tables + blocks {
		blocks = (sum + outCluster/2 - 1) / (outCluster / 2)
		tables = (blocks*8 + outCluster - 1) / outCluster
	}
	tableAt := m.take(tables)
	blockAt := m.take(blocks)
	table, counts := make([]byte, tables*outCluster), make([]byte, blocks*outCluster)
	for i := range blocks {
		be.PutUint64(table[8*i:], uint64(blockAt+i*outCluster))
	}
	for i, n := range m.refs {
		be.PutUint16(counts[2*i:], n)
	}
	head := make([]byte, outCluster)
	copy(head, "QFI\xfb")
	be.PutUint32(head[4:], 3)
	be.PutUint32(head[20:], outBits)
	be.PutUint64(head[24:], uint64((m.size+511)/512*512))
	be.PutUint32(head[36:], uint32(entries))
	be.PutUint64(head[40:], uint64(l1At))
	be.PutUint64(head[48:], uint64(tableAt))
	be.PutUint32(head[56:], uint32(tables))
	be.PutUint32(head[96:], 4) // refcounts of 16 bits
	be.PutUint32(head[100:], 112)
	if compress == "zstd" {
		be.PutUint64(head[72:], qCompression)
		head[104] = 1
	}
	err := errors.Join(m.write(tableAt, table), m.write(blockAt, counts), m.flush())
	if err == nil {
		_, err = m.f.WriteAt(head, 0)
	}
	return err
}

// MakeRaw writes a disk to f, an empty file; zeros take no room. Else as [MakeQCOW2].
func MakeRaw(ctx context.Context, f *os.File, feed Feed, done func(int64)) (int64, error) {
	w, err := NewSparseWriter(f)
	if err != nil {
		return 0, err
	}
	err = pour(ctx, feed, done, w.Write, func(n int64) error { w.Skip(n); return nil })
	if err == nil {
		err = w.Finish()
	}
	return w.Size(), err
}

// StreamRaw writes a disk to w as it is. Else as [MakeQCOW2].
func StreamRaw(ctx context.Context, w io.Writer, feed Feed, done func(int64)) (size int64, err error) {
	err = pour(ctx, feed, func(n int64) {
		if size = n; done != nil {
			done(n)
		}
	}, w.Write, func(n int64) error { return writeZeros(w, n) })
	return size, err
}

// pour gives a disk to write, and its runs of zeros to skip, in order.
func pour(ctx context.Context, feed Feed, done func(int64), write func([]byte) (int, error), skip func(int64) error) error {
	return pipeline(ctx, feed.next, func(*batch) error { return nil }, func(b *batch) (err error) {
		if b.data == nil {
			err = skip(b.zeros)
		} else {
			_, err = write(b.data)
		}
		if err == nil && done != nil {
			done(b.off + b.length())
		}
		return err
	})
}

func writeZeros(w io.Writer, n int64) error {
	block := make([]byte, min(n, 1<<20))
	for ; n > 0; n -= int64(len(block)) {
		block = block[:min(n, int64(len(block)))]
		if _, err := w.Write(block); err != nil {
			return err
		}
	}
	return nil
}
