package disk

import (
	"bytes"
	"context"
	"io"
	"testing"

	"hearth/internal/disk/disktest"
)

// small is a qcow2 of two megabytes with a few clusters.
func small(t testing.TB) (packed []byte, plain []byte) {
	plain = make([]byte, 2<<20)
	copy(plain[100<<10:], bytes.Repeat([]byte("hearth"), 30000))
	plain[2<<20-1] = 7
	var b bytes.Buffer
	err := WriteQCOW2(context.Background(), &b, int64(len(plain)), func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(plain)), nil })
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), plain
}

func TestQCOW2Reader(t *testing.T) {
	b, plain := small(t)
	q, err := NewQCOW2Reader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(io.NewSectionReader(q, 0, q.Size()))
	if err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	p := make([]byte, 10)
	if n, err := q.ReadAt(p, 2<<20-3); n != 3 || err != io.EOF || p[2] != 7 {
		t.Errorf("at the end: %d, %v", n, err)
	}
	if stored, n, err := q.Stored(0); stored || n != 64<<10 || err != nil {
		t.Errorf("the first cluster: %v, %d, %v", stored, n, err)
	}
}

func FuzzQCOW2Reader(f *testing.F) {
	b, _ := small(f)
	f.Add(b, uint32(0), []byte{})
	for _, spoilt := range disktest.Spoilt(b, 100) {
		f.Add(spoilt, uint32(0), []byte{})
	}
	f.Add(b, uint32(4*65536), []byte{0xc0, 1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte, at uint32, patch []byte) {
		if int(at) < len(b) {
			b = bytes.Clone(b)
			copy(b[at:], patch)
		}
		q, err := NewQCOW2Reader(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		p := make([]byte, 1000)
		for off := int64(0); off < min(q.Size(), 4<<20); off += 60 << 10 {
			if _, _, err := q.Stored(off); err == nil {
				_, _ = q.ReadAt(p, off)
			}
		}
	})
}
