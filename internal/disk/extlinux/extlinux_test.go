package extlinux

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/disk/disktest"
)

// fake is a program that carries parts of the form of the real ones.
func fake() []byte {
	boot := make([]byte, 512)
	copy(boot, bootSign)
	copy(boot[0x1f8:], magic)
	boot[510], boot[511] = 0x55, 0xaa
	module := make([]byte, 100)
	copy(module, moduleSign)
	binary.LittleEndian.PutUint32(module[32:], 60)
	binary.LittleEndian.PutUint16(module[46:], 40)
	binary.LittleEndian.PutUint16(module[48:], 1)
	system := make([]byte, 700)
	copy(system, systemSign)
	copy(system[24:], magic)
	for i := 48; i < 697; i++ {
		system[i] = byte(i%250) + 1
	}
	copy(system[697:], endOfData)
	pad := make([]byte, 20)
	return bytes.Join([][]byte{[]byte("\x7fELF\x02.."), boot, module, system, pad}, nil)
}

func TestParse(t *testing.T) {
	l, err := parse(fake())
	if err != nil || len(l.boot) != 512 || len(l.system) != 1024 || len(l.module) != 100 || l.system[699] != 0 || l.system[697] != 0x11 {
		t.Fatalf("%+v, %v", l, err)
	}
	for _, cut := range []int{10, 400, 600, 900} {
		if _, err := parse(fake()[:cut]); err == nil || !strings.Contains(err.Error(), "another version") {
			t.Errorf("%d: %v", cut, err)
		}
	}
}

// The runs of sectors are those that the BIOS can load: of less than 64 KiB, none of
// which crosses such a border in memory.
func TestExtents(t *testing.T) {
	var list []uint64
	for i := range uint64(300) {
		list = append(list, 8000+i+i/200*50)
	}
	room := make([]byte, 64*extentSize)
	if err := extents(room, list); err != nil {
		t.Fatal(err)
	}
	memory, got := loadedAt, []uint64(nil)
	for at := 0; binary.LittleEndian.Uint16(room[at+8:]) != 0; at += extentSize {
		first, n := binary.LittleEndian.Uint64(room[at:]), int(binary.LittleEndian.Uint16(room[at+8:]))
		if n*512 >= 1<<16 || memory>>16 != (memory+n*512-1)>>16 {
			t.Errorf("%d sectors at %x", n, memory)
		}
		for i := range n {
			got = append(got, first+uint64(i))
		}
		memory += n * 512
	}
	if len(got) != 300 || got[299] != list[299] || got[200] != list[200] {
		t.Errorf("%d sectors: %v", len(got), got)
	}
	if err := extents(room[:2*extentSize], list); err == nil {
		t.Error("too many pieces were taken")
	}
}

// Blocks of 1 KiB are refused: LAB 6 saw what comes of them.
func TestSmallBlocks(t *testing.T) {
	name := filepath.Join(t.TempDir(), "fs")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := (&disk.Runner{}).Run(context.Background(), disk.Command{Name: "mke2fs", Args: []string{"-q", "-F", "-b", "1024", name, "4096k"}, Write: []string{name}})
	if disk.KindOf(err) == disk.ToolMissing {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := (&Loader{}).Install(f, 0, 4<<20); err == nil || !strings.Contains(err.Error(), "blocks of 1024 bytes") {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	disktest.AddSpoilt(f, 200, fake())
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := parse(b)
		if err != nil {
			return
		}
		list := make([]uint64, len(l.system)/sector+2)
		_ = patch(bytes.Clone(l.boot), bytes.Clone(l.system), list)
	})
}
