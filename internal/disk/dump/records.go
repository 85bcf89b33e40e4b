package dump

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"encoding/binary"
	"io"

	"github.com/klauspost/compress/zlib"
)

// records reads a dump record by record.
type records struct {
	in     *bufio.Reader
	packed bool
	ntrec  int
	block  []byte // what is left of the unpacked block
	buf    []byte // of a block
}

// newRecords reads the first header too.
func newRecords(r io.Reader) (*records, *header, error) {
	in := &records{in: bufio.NewReaderSize(r, 256<<10)}
	first := make([]byte, recordSize)
	if _, err := io.ReadFull(in.in, first); err != nil {
		return nil, nil, truncated(err)
	}
	h, err := parse(first)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case h.kind != tsTape:
		return nil, nil, refuse("it does not begin with the header of a volume")
	case h.volume != 1:
		return nil, nil, unsupported("it is volume %d of a dump, not the first", h.volume)
	case h.level != 0:
		return nil, nil, unsupported("it is a dump of level %d: what it lacks is in others", h.level)
	case h.flags&flagNewInodes == 0:
		return nil, nil, unsupported("it has inodes in the form before 4.4BSD")
	}
	if in.packed = h.flags&flagPacked != 0; in.packed {
		if h.ntrec < 1 || h.ntrec > maxBlock {
			return nil, nil, refuse("blocks of %d records", h.ntrec)
		}
		in.ntrec = h.ntrec
		in.buf = make([]byte, h.ntrec*recordSize)
		in.block = in.buf[:(h.ntrec-1)*recordSize]
		if _, err := io.ReadFull(in.in, in.block); err != nil {
			return nil, nil, truncated(err)
		}
	}
	return in, h, nil
}

// next reads a record into b.
func (r *records) next(b []byte) error {
	if !r.packed {
		_, err := io.ReadFull(r.in, b)
		return truncated(err)
	}
	if len(r.block) == 0 {
		if err := r.unpack(); err != nil {
			return err
		}
	}
	copy(b, r.block[:recordSize])
	r.block = r.block[recordSize:]
	return nil
}

// unpack reads the next block: 1 bit tells whether it is compressed, 3 bits by
// what, 28 bits its length.
func (r *records) unpack() error {
	var prefix [4]byte
	if _, err := io.ReadFull(r.in, prefix[:]); err != nil {
		return truncated(err)
	}
	word := binary.LittleEndian.Uint32(prefix[:])
	packed, method, length := word&1 == 1, word>>1&7, int(word>>4)
	if length > len(r.buf) || !packed && length != len(r.buf) || length == 0 {
		return refuse("a block of %d bytes where one has %d", length, len(r.buf))
	}
	if !packed {
		r.block = r.buf
		_, err := io.ReadFull(r.in, r.block)
		return truncated(err)
	}
	stored := make([]byte, length)
	if _, err := io.ReadFull(r.in, stored); err != nil {
		return truncated(err)
	}
	var in io.Reader
	switch method {
	case 0:
		z, err := zlib.NewReader(bytes.NewReader(stored))
		if err != nil {
			return refuse("a compressed block is broken: %v", err)
		}
		in = z
	case 1:
		in = bzip2.NewReader(bytes.NewReader(stored))
	default:
		return unsupported("it is compressed by LZO; dump it again with -z")
	}
	n, err := io.ReadFull(in, r.buf)
	if err != nil || n != len(r.buf) {
		return refuse("a compressed block is broken: %v", err)
	}
	r.block = r.buf
	return nil
}

// writer writes records, ten at a time.
type writer struct {
	out    io.Writer
	packed bool
	block  []byte
	count  uint32 // of records
	blocks int
	buf    bytes.Buffer
	z      *zlib.Writer
}

func (w *writer) record(b []byte) error {
	w.block = append(w.block, b...)
	w.block = append(w.block, make([]byte, recordSize-len(b))...)
	w.count++
	if len(w.block) < perBlock*recordSize {
		return nil
	}
	defer func() { w.block = w.block[:0] }()
	w.blocks++
	if !w.packed || w.blocks == 1 {
		_, err := w.out.Write(w.block)
		return err
	}
	w.buf.Reset()
	if w.z == nil {
		w.z = zlib.NewWriter(&w.buf)
	} else {
		w.z.Reset(&w.buf)
	}
	if _, err := w.z.Write(w.block); err != nil {
		return err
	}
	if err := w.z.Close(); err != nil {
		return err
	}
	body, word := w.buf.Bytes(), uint32(w.buf.Len())<<4|1
	if len(body) >= len(w.block) {
		body, word = w.block, uint32(len(w.block))<<4
	}
	if _, err := w.out.Write(binary.LittleEndian.AppendUint32(nil, word)); err != nil {
		return err
	}
	_, err := w.out.Write(body)
	return err
}
