package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"unsafe"
)

// ioctls of linux/fs.h and fs/ext4/ext4.h.
const (
	blkGetSize64 = 0x80081272
	ext4ResizeFS = 0x40086610
)

// growRoot lets the mounted ext4 root fill its device. The node does that
// before the first boot; this is for a disk that became larger since.
func (g *guest) growRoot() error {
	dev, kind, err := rootDevice(g.path("proc/self/mountinfo"))
	if err != nil || !strings.HasPrefix(kind, "ext") {
		return err
	}
	disk, err := openNode(dev)
	if err != nil {
		return err
	}
	defer disk.Close()
	var size uint64
	if err := ioctl(disk, blkGetSize64, unsafe.Pointer(&size)); err != nil {
		return err
	}
	sb := make([]byte, 1024)
	if _, err := disk.ReadAt(sb, 1024); err != nil {
		return err
	}
	block, blocks := extSize(sb)
	want := size / block
	if want <= blocks || (want-blocks)*block < 1<<20 {
		return nil
	}
	root, err := os.Open("/")
	if err != nil {
		return err
	}
	defer root.Close()
	if err := ioctl(root, ext4ResizeFS, unsafe.Pointer(&want)); err != nil {
		return err
	}
	g.say("root file system grown to %d MiB", want*block>>20)
	return nil
}

// extSize reads the block size in bytes and the number of blocks.
func extSize(sb []byte) (block, blocks uint64) {
	le := binary.LittleEndian
	blocks = uint64(le.Uint32(sb[4:]))
	if le.Uint32(sb[0x60:])&0x80 != 0 {
		blocks |= uint64(le.Uint32(sb[0x150:])) << 32
	}
	return 1024 << min(le.Uint32(sb[0x18:]), 6), blocks
}

// rootDevice gives "major:minor" and the type of the file system at /.
func rootDevice(mountinfo string) (dev, kind string, err error) {
	b, err := os.ReadFile(mountinfo)
	if err != nil {
		return "", "", err
	}
	for line := range strings.Lines(string(b)) {
		left, right, _ := strings.Cut(line, " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if len(l) >= 5 && len(r) >= 1 && l[4] == "/" && r[0] != "rootfs" {
			dev, kind = l[2], r[0] // the last one covers the others
		}
	}
	if dev == "" {
		return "", "", errors.New("the root file system is not listed")
	}
	return dev, kind, nil
}

// openNode opens a block device by its number, through a node of its own: /dev
// may name it otherwise, or not at all.
func openNode(dev string) (*os.File, error) {
	var major, minor uint64
	if _, err := fmt.Sscanf(dev, "%d:%d", &major, &minor); err != nil {
		return nil, err
	}
	name := "/dev/.hearth-guest-root"
	number := minor&0xff | major<<8 | minor&^0xff<<12
	if err := syscall.Mknod(name, syscall.S_IFBLK|0o600, int(number)); err != nil {
		return nil, err
	}
	defer os.Remove(name)
	return os.Open(name)
}

func ioctl(f *os.File, request uintptr, arg unsafe.Pointer) error {
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), request, uintptr(arg)); errno != 0 {
		return os.NewSyscallError("ioctl "+f.Name(), errno)
	}
	return nil
}
