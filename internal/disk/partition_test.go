package disk

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"os"

	"hearth/internal/disk/disktest"
)

// memory is a disk in memory.
type memory []byte

func (m memory) ReadAt(p []byte, off int64) (int, error) { return bytes.NewReader(m).ReadAt(p, off) }
func (m memory) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 || off+int64(len(p)) > int64(len(m)) {
		return 0, io.ErrShortWrite
	}
	return copy(m[off:], p), nil
}

func mbrDisk(size, start, end int64) memory {
	m := make(memory, size)
	MBRTable(m[:512], start, end)
	return m
}

// gptDisk makes a GPT with one partition from 1 MiB for a disk of size bytes.
func gptDisk(size int64) memory {
	m, le := make(memory, size), binary.LittleEndian
	copy(m[mbrEntries:], []byte{0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff})
	m[510], m[511] = 0x55, 0xaa
	entries := m[1024:][:128*128]
	copy(entries, "\xaf\x3d\xc6\x0f\x83\x84\x72\x47\x8e\x79\x3d\x69\xd8\x47\x7d\xe4")
	copy(entries[16:], "0123456789abcdef")
	last := uint64(size/512 - 1)
	le.PutUint64(entries[32:], 2048)
	le.PutUint64(entries[40:], (last-33+1)/8*8-1)
	h := &gptHeader{raw: make([]byte, 512), length: 92, entries: append([]byte(nil), entries...)}
	copy(h.raw, "EFI PART\x00\x00\x01\x00\x5c\x00\x00\x00")
	le.PutUint64(h.raw[40:], 34)
	le.PutUint64(h.raw[48:], last-33)
	le.PutUint32(h.raw[80:], 128)
	le.PutUint32(h.raw[84:], 128)
	le.PutUint32(h.raw[88:], crc32.ChecksumIEEE(entries))
	if err := h.write(m, int64(last), 1, int64(last)-32); err != nil {
		panic(err)
	}
	if err := h.write(m, 1, int64(last), 2); err != nil {
		panic(err)
	}
	return m
}

func grown(m memory, size int) memory {
	return append(append(memory(nil), m...), make([]byte, size-len(m))...)
}

func TestGrowLast(t *testing.T) {
	tests := []struct {
		name string
		disk memory
		want int64 // size of the partition on a disk of 32 MiB
	}{
		{"mbr", mbrDisk(8<<20, 1<<20, 8<<20), 31 << 20},
		{"gpt", gptDisk(8 << 20), (32<<20-34*512+512)/4096*4096 - 1<<20},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := grown(tt.disk, 32<<20)
			p, err := GrowLast(m, int64(len(m)))
			if err != nil {
				t.Fatal(err)
			}
			table, err := ReadTable(m, int64(len(m)))
			if err != nil {
				t.Fatal(err)
			}
			if got := table.Last(); got.Size != tt.want || *got != *p {
				t.Errorf("the table has %+v, GrowLast said %+v, want size %d", got, p, tt.want)
			}
			before := append(memory(nil), m...)
			if _, err := GrowLast(m, int64(len(m))); err != nil || !bytes.Equal(m, before) {
				t.Errorf("growing again changed the disk (%v)", err)
			}
			verify(t, m)
		})
	}
}

// verify lets sfdisk, where there is one, judge the table.
func verify(t *testing.T, m memory) {
	path := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(path, m, 0o600); err != nil {
		t.Fatal(err)
	}
	tool, err := lookTool("sfdisk")
	if err != nil {
		t.Logf("not verified by sfdisk: %v", err)
		return
	}
	out, err := exec.Command(tool, "--verify", path).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "No errors detected") {
		t.Errorf("sfdisk --verify: %v\n%s", err, out)
	}
}

func TestReadTableRefuses(t *testing.T) {
	le := binary.LittleEndian
	tests := []struct {
		name string
		disk func() memory
		say  string // "" for no table and no error
	}{
		{"nothing", func() memory { return make(memory, 1<<20) }, ""},
		{"short", func() memory { return make(memory, 700) }, ""},
		{"boot sector of FAT", func() memory { m := mbrDisk(1<<20, 4096, 1<<20); m[mbrEntries] = 'R'; return m }, ""},
		{"outside", func() memory { return mbrDisk(1<<20, 4096, 2<<20) }, "outside of the disk"},
		{"begins outside", func() memory { m := mbrDisk(1<<20, 4096, 1<<20); le.PutUint32(m[mbrEntries+8:], 1<<31); return m }, "outside"},
		{"overlap", func() memory {
			m := mbrDisk(1<<20, 4096, 1<<20)
			copy(m[mbrEntries+16:][:16], m[mbrEntries:][:16])
			return m
		}, "inside of another"},
		{"gpt header sum", func() memory { m := gptDisk(8 << 20); m[512+60]++; return m }, "check sum of the GPT header"},
		{"gpt entry sum", func() memory { m := gptDisk(8 << 20); m[1024]++; return m }, "check sum of the GPT entries"},
		{"gpt length", func() memory { m := gptDisk(8 << 20); le.PutUint32(m[512+12:], 1<<30); return m }, "header claims"},
	}
	for _, tt := range tests {
		m := tt.disk()
		table, err := ReadTable(m, int64(len(m)))
		if table != nil && err == nil || tt.say == "" && err != nil || tt.say != "" && (err == nil || !strings.Contains(err.Error(), tt.say)) {
			t.Errorf("%s: %+v, %v, want %q", tt.name, table, err, tt.say)
		}
	}
}

func FuzzReadTable(f *testing.F) {
	disktest.AddSpoilt(f, 300, mbrDisk(1<<13, 4096, 1<<13), gptDisk(2 << 20)[:34*512])
	f.Fuzz(func(t *testing.T, b []byte) {
		m := append(memory(nil), b...)
		table, err := ReadTable(m, int64(len(m)))
		if err != nil || table == nil {
			return
		}
		for _, p := range table.Partitions {
			if p.Start < 0 || p.Size <= 0 || p.Start+p.Size > int64(len(m)) {
				t.Errorf("partition %+v outside of %d bytes", p, len(m))
			}
		}
		m = grown(m, len(m)+1<<16)
		if _, err := GrowLast(m, int64(len(m))); err == nil {
			if _, err := ReadTable(m, int64(len(m))); err != nil {
				t.Errorf("broken by growing: %v", err)
			}
		}
	})
}
