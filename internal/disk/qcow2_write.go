package disk

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
)

// Layout of a qcow2 stream made here (docs/interop/qcow2.rst of QEMU), in
// clusters of 64 KiB: header, refcount table, refcount blocks, L1 table, L2
// tables, data.
const (
	outBits    = 16
	outCluster = 1 << outBits
)

// WriteQCOW2 writes a disk of size bytes to w as qcow2 without a backing file;
// clusters of zeros take no room. It reads the disk twice, from open: a stream's
// tables come before its data. The readings must be alike.
func WriteQCOW2(ctx context.Context, w io.Writer, size int64, open func() (io.ReadCloser, error)) error {
	var used []bool
	err := eachCluster(ctx, size, open, func(data []byte) error {
		used = append(used, len(bytes.TrimLeft(data, "\x00")) > 0)
		return nil
	})
	if err != nil {
		return err
	}
	if _, err := w.Write(qcow2Tables(size, used)); err != nil {
		return err
	}
	i := 0
	return eachCluster(ctx, size, open, func(data []byte) error {
		i++
		if !used[i-1] {
			return nil
		}
		_, err := w.Write(data)
		return err
	})
}

// eachCluster reads a disk cluster by cluster; the last is filled up with zeros.
func eachCluster(ctx context.Context, size int64, open func() (io.ReadCloser, error), do func([]byte) error) error {
	src, err := open()
	if err != nil {
		return err
	}
	defer src.Close()
	buf := make([]byte, outCluster)
	for left := size; left > 0; left -= outCluster {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(left, outCluster)
		if _, err := io.ReadFull(src, buf[:n]); err != nil {
			return err
		}
		clear(buf[n:])
		if err := do(buf); err != nil {
			return err
		}
	}
	return nil
}

// plan is how many clusters each part takes; head is all before the data.
type plan struct{ tables, blocks, l1, l2s, head, total int64 }

// layout plans a disk of so many clusters, of which data are stored.
func layout(clusters, data int64) plan {
	ceil := func(n, by int64) int64 { return (n + by - 1) / by }
	l := plan{l2s: ceil(clusters, outCluster/8)}
	l.l1 = ceil(l.l2s*8, outCluster)
	// Refcounts have 16 bits: a block counts half as many clusters as it has
	// bytes, itself among them.
	sum := func() int64 { return 1 + l.tables + l.blocks + l.l1 + l.l2s + data }
	for l.blocks != ceil(sum(), outCluster/2) || l.tables != ceil(l.blocks*8, outCluster) {
		l.blocks = ceil(sum(), outCluster/2)
		l.tables = ceil(l.blocks*8, outCluster)
	}
	l.total = sum()
	l.head = l.total - data
	return l
}

// qcow2Tables is all that comes before the data.
func qcow2Tables(size int64, used []bool) []byte {
	data := int64(0)
	for _, u := range used {
		if u {
			data++
		}
	}
	l := layout(int64(len(used)), data)
	b := l.tablesOf(size)
	next := l.head
	for i, u := range used {
		if u {
			binary.BigEndian.PutUint64(b[(l.head-l.l2s)*outCluster+8*int64(i):], uint64(next*outCluster)|copied)
			next++
		}
	}
	return b
}

const copied = 1 << 63 // the cluster has one reference

// tablesOf writes header, refcounts (one for each cluster), L1 table, and L2
// tables that name nothing yet.
func (l plan) tablesOf(size int64) []byte {
	be := binary.BigEndian
	b := make([]byte, l.head*outCluster)
	at := func(cluster int64) []byte { return b[cluster*outCluster:] }
	copy(b, "QFI\xfb")
	be.PutUint32(b[4:], 3)
	be.PutUint32(b[20:], outBits)
	be.PutUint64(b[24:], uint64(size))
	be.PutUint32(b[36:], uint32(l.l2s))
	be.PutUint64(b[40:], uint64((1+l.tables+l.blocks)*outCluster))
	be.PutUint64(b[48:], outCluster)
	be.PutUint32(b[56:], uint32(l.tables))
	be.PutUint32(b[96:], 4) // refcounts of 16 bits
	be.PutUint32(b[100:], 104)
	for i := range l.blocks {
		be.PutUint64(at(1)[8*i:], uint64((1+l.tables+i)*outCluster))
	}
	for i := range l.total {
		be.PutUint16(at(1 + l.tables)[2*i:], 1)
	}
	for i := range l.l2s {
		be.PutUint64(at(1 + l.tables + l.blocks)[8*i:], uint64((l.head-l.l2s+i)*outCluster)|copied)
	}
	return b
}
