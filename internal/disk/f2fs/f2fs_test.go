package f2fs

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/disk/disktest"
)

const testSize = 16 << 20 // bytes of the f2fs that image makes; mkfs.f2fs makes none so small

// image is the beginning of an f2fs of testSize bytes: the superblock and two checkpoints, of
// which the second is newer, with 5 and 7 valid blocks of 100.
func image() []byte {
	b := make([]byte, testSize)
	le := binary.LittleEndian
	s := b[at:]
	for i, v := range map[int]uint32{0: magic, 8: 9, 12: 3, 16: 12, 20: 9, 68: 2, 72: 512, 76: 512, 92: 512 + 5*512, 2180: 1<<3 | 1<<7} {
		le.PutUint32(s[i:], v)
	}
	le.PutUint64(s[36:], testSize/Block)
	copy(s[108:], "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10")
	copy(s[124:], "h\x00\xe9\x00=\xd8%\xdd\x00\x00x")
	checkpoint(b, 512, 1, 5)
	checkpoint(b, 1024, 2, 7)
	return b
}

// checkpoint writes a pack of three blocks.
func checkpoint(b []byte, block int, version, valid uint64) {
	for _, n := range []int{block, block + 2} {
		c := b[n*Block : (n+1)*Block]
		le := binary.LittleEndian
		le.PutUint64(c, version)
		le.PutUint64(c[8:], 100)
		le.PutUint64(c[16:], valid)
		le.PutUint32(c[132:], 5)
		le.PutUint32(c[136:], 3)
		le.PutUint32(c[164:], lastSum)
		le.PutUint32(c[lastSum:], checksum(c, lastSum))
	}
}

func read(t testing.TB, b []byte) *Super {
	t.Helper()
	s, err := Read(bytes.NewReader(b), 0, int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRead: the newer checkpoint counts that was written whole.
func TestRead(t *testing.T) {
	s := read(t, image())
	if hex.EncodeToString(s.UUID[:2]) != "0102" || s.Label != "hé\U0001f525" || s.Size != testSize || !s.Checked || !s.Clean || s.Broken || s.Valid != 7*Block || s.Used() != testSize-93*Block {
		t.Errorf("%+v", s)
	}
	if s.Features.Names() != "extra_attr,quota" || s.Features.Lost().Names() != "quota" {
		t.Error(s.Features.Names(), s.Features.Lost().Names())
	}
	b := image()
	b[(1024+2)*Block+700]++ // its last block was not written
	if s = read(t, b); s.Valid != 5*Block {
		t.Errorf("%+v", s)
	}
	b[512*Block]++
	if s = read(t, b); s.Checked || s.Used() != 0 {
		t.Errorf("%+v", s)
	}
	b = image()
	binary.LittleEndian.PutUint32(b[512*Block+132:], 0) // flags
	binary.LittleEndian.PutUint64(b[512*Block:], 1<<63+2)
	binary.LittleEndian.PutUint32(b[512*Block+lastSum:], checksum(b[512*Block:513*Block], lastSum))
	if s = read(t, b); s.Valid != 7*Block {
		t.Errorf("a version far back counts: %+v", s)
	}
	if s, err := Read(bytes.NewReader(make([]byte, testSize)), 0, testSize); s != nil || err != nil {
		t.Error(s, err)
	}
}

// TestBounds: what contradicts itself is refused with a sentence.
func TestBounds(t *testing.T) {
	for what, c := range map[string]struct {
		at   int
		to   uint32
		want string
	}{
		"blocks of 16 KiB": {16, 14, "4096"}, "sectors of 1 byte": {8, 0, "4096"}, "small segments": {20, 8, "contradicts"}, "checkpoint elsewhere": {76, 600, "contradicts"},
		"larger than its place": {36, testSize/Block + 1, "its place"}, "no blocks": {36, 0, "contradicts"}, "endless": {40, 1 << 31, "contradicts"},
		"main behind the end": {92, 1 << 30, "contradicts"}, "main too large": {68, 1 << 31, "contradicts"}, "no room for checkpoints": {92, 600, "contradicts"},
	} {
		b := image()
		binary.LittleEndian.PutUint32(b[at+c.at:], c.to)
		if s, err := Read(bytes.NewReader(b), 0, testSize); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v, %v", what, s, err)
		}
	}
	b := image()
	checkpoint(b, 1024, 3, 101)
	if s, err := Read(bytes.NewReader(b), 0, testSize); err == nil {
		t.Errorf("more is valid than there is: %+v", s)
	}
	b = image()
	copy(b[at+2201:], "/dev/sda")
	if s := read(t, b); !s.Devices || s.Checked {
		t.Errorf("%+v", s)
	}
}

// TestReadReal reads what mkfs.f2fs makes, at an offset.
func TestReadReal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f2fs")
	run := &disk.Runner{}
	o := disk.ExtOptions{Size: 100 << 20, Label: "wörk", UUID: "4bd3b3a7-0cbe-4a6c-95c4-1a2b3c4d5e6f"}
	err := run.MakeFS(context.Background(), path, "f2fs", o, "-O", "extra_attr,inode_checksum")
	if disk.KindOf(err) == disk.ToolMissing {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Read(bytes.NewReader(append(make([]byte, 5000), b...)), 5000, int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if hex.EncodeToString(s.UUID[:]) != strings.ReplaceAll(o.UUID, "-", "") || s.Label != o.Label || s.Size != o.Size || !s.Checked || !s.Clean || s.Valid != 2*Block || s.Features.Names() != "extra_attr,inode_checksum" {
		t.Errorf("%+v", s)
	}
}

// laid is a superblock, and a checkpoint that is at each block that is asked for.
type laid struct{ super, checkpoint []byte }

// ReadAt implements io.ReaderAt.
func (l laid) ReadAt(b []byte, off int64) (int, error) {
	clear(b)
	if off == at {
		copy(b, l.super)
		return len(b), nil
	}
	if n := copy(b, l.checkpoint); n < Block {
		return n, io.EOF
	}
	place := binary.LittleEndian.Uint32(b[164:])
	if place <= lastSum { // or nothing would be looked at
		binary.LittleEndian.PutUint32(b[place:], checksum(b, int(place)))
	}
	return len(b), nil
}

// FuzzRead reads hostile bytes: what is accepted lies within its place. An input has the
// fields of the superblock up to its UUID, the features, the first other disk, and those of
// the checkpoint.
func FuzzRead(f *testing.F) {
	const fields, sums = 108, 168
	b := image()
	super := b[at:]
	seed := append(append(append([]byte{}, super[:fields]...), super[2180:2184]...), 0)
	disktest.AddSpoilt(f, 500, append(seed, b[512*Block:512*Block+sums]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < fields+5+sums {
			return
		}
		super, checkpoint := make([]byte, 3072), make([]byte, Block)
		copy(super, b[:fields])
		copy(super[2180:], b[fields:fields+4])
		super[2201] = b[fields+4]
		copy(checkpoint, b[fields+5:])
		s, err := Read(laid{super, checkpoint}, 0, testSize)
		if err != nil || s == nil {
			return
		}
		if s.Size > testSize && !s.Devices || s.Used() < 0 || s.Valid > s.User || s.User > s.Size || s.Checked && s.Used() > s.Size {
			t.Errorf("%+v", s)
		}
	})
}
