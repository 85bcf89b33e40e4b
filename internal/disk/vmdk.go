package disk

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"strconv"
	"strings"
)

const vmdkOp = "read vmdk header"

// maxVMDKText bounds the descriptor, in bytes.
const maxVMDKText = 1 << 20

// parseVMDK reads VMware's format (Virtual Disk Format 5.0): one file that has
// its own descriptor, whose only extent it is itself. A descriptor that names
// other files, which would be files of the host, is refused.
func parseVMDK(r io.ReaderAt, size int64) (int64, error) {
	mark, err := part(r, size, 0, 4, "VMDK header")
	if err != nil {
		return 0, err
	}
	if string(mark) != "KDMV" {
		return 0, fail(Refused, vmdkOp, "the image is not one sparse file but names others, which would be files of the host; convert it with qemu-img convert -O qcow2")
	}
	b, err := part(r, size, 0, 512, "VMDK header")
	if err != nil {
		return 0, err
	}
	u64 := func(o int) uint64 { return binary.LittleEndian.Uint64(b[o:]) }
	if v := binary.LittleEndian.Uint32(b[4:]); v < 1 || v > 3 {
		return 0, fail(Unsupported, vmdkOp, "version %d is not known here", v)
	}
	capacity, at, length := u64(12), u64(28), u64(36)
	switch {
	case capacity > math.MaxInt64/512:
		return 0, fail(Refused, vmdkOp, "the size of the disk is beyond all bounds")
	case capacity == 0: // QEMU would go by the descriptor alone
		return 0, fail(Refused, vmdkOp, "the header gives the disk no size; convert it with qemu-img convert -O qcow2")
	case at == 0 || length == 0:
		return 0, fail(Refused, vmdkOp, "the image is a part of a disk that is split into files; convert it with qemu-img convert -O qcow2")
	case length > maxVMDKText/512 || at > math.MaxInt64/1024:
		return 0, fail(Refused, vmdkOp, "the descriptor of %d sectors is out of range", length)
	}
	text, err := part(r, size, int64(at)*512, int(length)*512, "VMDK descriptor")
	if err != nil {
		return 0, err
	}
	text, _, _ = bytes.Cut(text, []byte{0})
	return int64(capacity) * 512, checkVMDKText(text)
}

// checkVMDKText looks for what names other files.
func checkVMDKText(text []byte) error {
	extents, kind := 0, ""
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, maxVMDKText+1)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		name, value, pair := strings.Cut(line, "=")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.Trim(strings.TrimSpace(value), `"`)
		switch {
		case line == "" || line[0] == '#':
		case extent(line):
			extents++
			if !strings.Contains(line, " SPARSE ") || strings.ContainsAny(line, `/\`) {
				return fail(Refused, vmdkOp, "the descriptor names another file (%.60q)", line)
			}
		case pair && name == "createtype":
			kind = value
		case pair && name == "parentcid":
			if cid, err := strconv.ParseUint(value, 16, 64); err != nil || cid != math.MaxUint32 {
				return fail(Refused, vmdkOp, "the image is one of differences to another file; flatten it with qemu-img convert -O qcow2")
			}
		case pair && name == "parentfilenamehint":
			return fail(Refused, vmdkOp, "the image names a parent, which would be a file of the host; flatten it with qemu-img convert -O qcow2")
		}
	}
	if kind != "monolithicSparse" && kind != "streamOptimized" {
		return fail(Refused, vmdkOp, "the image is of the kind %.40q; only monolithicSparse and streamOptimized are one file", kind)
	}
	if extents != 1 {
		return fail(Refused, vmdkOp, "the disk has %d extents; one is allowed, the image itself", extents)
	}
	return nil
}

// extent tells whether a descriptor's line is that of an extent.
func extent(line string) bool {
	return strings.HasPrefix(line, "RW ") || strings.HasPrefix(line, "RDONLY ") || strings.HasPrefix(line, "NOACCESS ")
}
