package extlinux

import (
	"bytes"
	"encoding/binary"
	"slices"

	"hearth/internal/disk"
)

// Signs by which the parts are found in the program.
var (
	bootSign   = []byte("\xebX\x90SYSLINUX")    // jump, and a name where FAT has one
	systemSign = []byte("\r\nSYSLINUX ")        // what ldlinux.sys says first
	moduleSign = []byte("\x7fELF\x01\x01\x01")  // a program of 32 bits
	endOfData  = []byte{0x11, 0, 0}             // how packed data ends (LZO1X)
	magic      = []byte{0xfe, 0x02, 0xb2, 0x3e} // LDLINUX_MAGIC
	maxSystem  = 0x20000                        // it is loaded below 640 KiB
	minBoot    = sector
)

// parse finds the parts in the program's bytes.
func parse(program []byte) (*Loader, error) {
	var bad error
	part := func(what string, sign []byte, ok func([]byte) []byte) []byte {
		for at := 0; ; {
			i := bytes.Index(program[at:], sign)
			if i < 0 {
				bad = fail(disk.Unsupported, "the program extlinux here has no %s of a form that is known: it is another version than 6", what)
				return nil
			}
			if b := ok(program[at+i:]); b != nil {
				return slices.Clone(b)
			}
			at += i + 1
		}
	}
	l := &Loader{boot: part("boot sector", bootSign, bootSector), system: part("ldlinux.sys", systemSign, system), module: part("ldlinux.c32", moduleSign, module)}
	return l, bad
}

func bootSector(b []byte) []byte {
	if len(b) < minBoot || b[510] != 0x55 || b[511] != 0xaa || !bytes.Equal(b[0x1f8:0x1fc], magic) {
		return nil
	}
	return b[:sector]
}

// system gives ldlinux.sys, filled up to whole sectors. Its length is written nowhere:
// it ends where its packed part does, before the next part or the end of the data.
func system(b []byte) []byte {
	if len(b) < sector {
		return nil
	}
	if _, err := patchArea(b[:sector]); err != nil {
		return nil
	}
	for _, next := range [][]byte{bootSign, moduleSign} {
		if i := bytes.Index(b, next); i > 0 {
			b = b[:i]
		}
	}
	b = b[:min(len(b), maxSystem)]
	end := bytes.Index(b, append(endOfData[:3:3], make([]byte, 13)...))
	if end < 0 {
		return nil
	}
	out := make([]byte, (end+len(endOfData)+sector-1)/sector*sector)
	copy(out, b[:end+len(endOfData)])
	return out
}

// module gives an ELF file, whose section headers are its end.
func module(b []byte) []byte {
	if len(b) < 52 {
		return nil
	}
	le := binary.LittleEndian
	end := int64(le.Uint32(b[32:])) + int64(le.Uint16(b[46:]))*int64(le.Uint16(b[48:]))
	if end < 52 || end > int64(len(b)) || end > 1<<20 {
		return nil
	}
	return b[:end]
}
