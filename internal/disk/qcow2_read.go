package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

// QCOW2Reader reads the disk in a qcow2 image without a backing file, in process
// and without rights. It may be used side by side.
type QCOW2Reader struct {
	r    io.ReaderAt
	size int64 // of the file
	h    *QCOW2Header
	l1   []uint64

	inflaters sync.Pool
	packed    atomic.Bool // a packed cluster was read

	mu    sync.Mutex
	l2    cache // tables, by their place
	ready cache // unpacked clusters, by the entry that names them
}

const (
	qcow2Zero   = 1
	qcow2Packed = 1 << 62
	qcow2Offset = 0x00fffffffffffe00
)

// NewQCOW2Reader checks the image r of size bytes as [ParseQCOW2] does. An image
// with extended L2 entries is Unsupported.
func NewQCOW2Reader(r io.ReaderAt, size int64) (*QCOW2Reader, error) {
	h, err := ParseQCOW2(r, size, Limits{})
	if err != nil {
		return nil, err
	}
	if h.Incompatible&qExtL2 != 0 {
		return nil, fail(Unsupported, qcow2Op, "the image has extended L2 entries; convert it with qemu-img convert -O qcow2")
	}
	raw := make([]byte, h.L1Entries*8)
	if _, err := r.ReadAt(raw, h.L1Offset); err != nil && len(raw) > 0 {
		return nil, err
	}
	q := &QCOW2Reader{r: r, size: size, h: h, l1: make([]uint64, h.L1Entries)}
	for i := range q.l1 {
		q.l1[i] = binary.BigEndian.Uint64(raw[8*i:])
	}
	cluster := int(q.cluster())
	q.l2, q.ready = newCache((8<<20)/cluster+1), newCache((8<<20)/cluster+1)
	q.inflaters.New = q.newInflater
	return q, nil
}

// Size is how many bytes the disk has.
func (q *QCOW2Reader) Size() int64 { return q.h.VirtualSize }

func (q *QCOW2Reader) cluster() int64 { return 1 << q.h.ClusterBits }

// ReadAt implements io.ReaderAt.
func (q *QCOW2Reader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= q.Size() {
		return 0, io.EOF
	}
	want := len(p)
	p = p[:min(int64(want), q.Size()-off)]
	for done := 0; done < len(p); {
		at := off + int64(done)
		n := min(int64(len(p)-done), q.cluster()-at%q.cluster())
		if err := q.within(p[done:done+int(n)], at); err != nil {
			return done, err
		}
		done += int(n)
	}
	if len(p) < want {
		return len(p), io.EOF
	}
	return want, nil
}

// within reads from one cluster.
func (q *QCOW2Reader) within(p []byte, at int64) error {
	entry, err := q.entry(at / q.cluster())
	switch {
	case err != nil:
		return err
	case entry&qcow2Packed != 0:
		b, err := q.unpacked(entry)
		if err != nil {
			return err
		}
		copy(p, b[at%q.cluster():])
		return nil
	case entry&qcow2Zero != 0 && q.h.Version >= 3, entry&qcow2Offset == 0:
		clear(p)
		return nil
	}
	place := int64(entry & qcow2Offset)
	if place%q.cluster() != 0 || place > q.size {
		return refuse("a cluster lies at byte %d of %d", place, q.size)
	}
	n, err := q.r.ReadAt(p, place+at%q.cluster())
	if errors.Is(err, io.EOF) { // the last cluster of a file may be cut short
		clear(p[n:])
		return nil
	}
	return err
}

// Packed tells whether what was read so far was packed, in part at least, and how.
func (q *QCOW2Reader) Packed() (method string, packed bool) {
	return q.h.Compression, q.packed.Load()
}

// Stored tells whether the bytes from off on are stored or read as zeros, and
// for how many bytes that holds: of one cluster at most.
func (q *QCOW2Reader) Stored(off int64) (bool, int64, error) {
	entry, err := q.entry(off / q.cluster())
	zero := entry&qcow2Packed == 0 && (entry&qcow2Zero != 0 && q.h.Version >= 3 || entry&qcow2Offset == 0)
	return !zero, min(q.cluster()-off%q.cluster(), q.Size()-off), err
}

// Own tells whether the image itself says what the bytes from off on are, if only that
// they are zeros, or leaves that to a file beneath it; and for how many bytes that
// holds: of one cluster at most if it does, of one L2 table's if not.
func (q *QCOW2Reader) Own(off int64) (bool, int64, error) {
	span := q.cluster()
	if table := off / q.cluster() / (q.cluster() / 8); table < int64(len(q.l1)) && q.l1[table]&qcow2Offset == 0 {
		span *= q.cluster() / 8
	}
	entry, err := q.entry(off / q.cluster())
	return entry&(qcow2Packed|qcow2Offset|qcow2Zero) != 0, min(span-off%span, q.Size()-off), err
}

// Whole tells by the tables whether all that is stored begins within the file: Refused of one
// that was cut short. It reads the tables, each once, and nothing of the disk.
func (q *QCOW2Reader) Whole() error { return wholeQCOW2(q.r, q.size, q.h) }

// entry is what the L2 table says of a cluster.
func (q *QCOW2Reader) entry(cluster int64) (uint64, error) {
	per := q.cluster() / 8
	if cluster < 0 || cluster/per >= int64(len(q.l1)) {
		return 0, refuse("cluster %d is beyond the L1 table", cluster)
	}
	place := int64(q.l1[cluster/per] & qcow2Offset)
	if place == 0 {
		return 0, nil
	}
	table, err := q.kept(&q.l2, uint64(place), func() ([]byte, error) {
		if place%q.cluster() != 0 {
			return nil, refuse("an L2 table begins at byte %d", place)
		}
		b, err := part(q.r, q.size, place, int(q.cluster()), "L2 table")
		return b, err
	})
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(table[8*(cluster%per):]), nil
}

// unpacked gives a cluster that is stored packed.
func (q *QCOW2Reader) unpacked(entry uint64) ([]byte, error) {
	return q.kept(&q.ready, entry, func() ([]byte, error) {
		bits := 62 - (q.h.ClusterBits - 8)
		place := int64(entry & (1<<bits - 1))
		sectors := int64(entry>>bits) & (1<<(62-bits) - 1)
		length := min((sectors+1)*512-place%512, q.size-place)
		if place > q.size || length <= 0 {
			return nil, refuse("a packed cluster lies at byte %d of %d", place, q.size)
		}
		q.packed.Store(true)
		packed := make([]byte, length)
		if n, err := q.r.ReadAt(packed, place); err != nil && (n < int(length) || !errors.Is(err, io.EOF)) {
			return nil, err
		}
		return q.unpack(packed)
	})
}

// unpack gives the bytes of one cluster, and no more, whatever is packed.
func (q *QCOW2Reader) unpack(packed []byte) ([]byte, error) {
	out := make([]byte, q.cluster())
	var n int
	var err error
	if q.h.Compression == "zstd" {
		n, err = q.unpackZstd(out, packed)
	} else {
		z := q.inflaters.Get().(io.ReadCloser)
		defer q.inflaters.Put(z)
		if err = z.(flate.Resetter).Reset(bytes.NewReader(packed), nil); err == nil {
			n, err = io.ReadFull(z, out)
		}
	}
	if err != nil {
		return nil, refuse("a packed cluster ends after %d bytes: %v", n, err)
	}
	return out, nil
}

func (q *QCOW2Reader) unpackZstd(out, packed []byte) (int, error) {
	z, _ := q.inflaters.Get().(*zstd.Decoder)
	if z == nil {
		return 0, errors.New("no decoder")
	}
	defer q.inflaters.Put(z)
	if err := z.Reset(bytes.NewReader(packed)); err != nil {
		return 0, err
	}
	return io.ReadFull(z, out)
}

// newInflater makes a decoder for [QCOW2Reader.unpack]: each reads by itself.
func (q *QCOW2Reader) newInflater() any {
	if q.h.Compression != "zstd" {
		return flate.NewReader(nil)
	}
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(16<<20), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		return nil // never, of these options
	}
	return z
}

// kept gives what is in a cache, or makes it. Two may make the same side by side.
func (q *QCOW2Reader) kept(c *cache, key uint64, make func() ([]byte, error)) ([]byte, error) {
	q.mu.Lock()
	b, ok := c.have[key]
	q.mu.Unlock()
	if ok {
		return b, nil
	}
	b, err := make()
	if err == nil {
		q.mu.Lock()
		defer q.mu.Unlock()
		c.put(key, b)
	}
	return b, err
}

// cache keeps the last so many blocks that were read.
type cache struct {
	have map[uint64][]byte
	keys []uint64 // a ring
	next int
}

func newCache(n int) cache { return cache{have: map[uint64][]byte{}, keys: make([]uint64, n)} }

func (c *cache) put(key uint64, b []byte) {
	if _, ok := c.have[key]; ok {
		return
	}
	delete(c.have, c.keys[c.next])
	c.keys[c.next] = key
	c.have[key] = b
	c.next = (c.next + 1) % len(c.keys)
}
