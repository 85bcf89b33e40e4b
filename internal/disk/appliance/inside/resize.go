package inside

import (
	"errors"
	"fmt"
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// grow lets a file system have all of its disk.
func (m *machine) grow(s Step) error {
	s.Disk.Tree = false
	at, err := m.mount(s.Disk, true)
	if err != nil {
		return err
	}
	switch s.Disk.Kind {
	case "xfs":
		err = growXFS(at, s.Disk.Device)
	case "btrfs":
		err = resizeBtrfs(at, "max")
	default:
		err = errors.New("it does not grow while it is mounted")
	}
	if err != nil {
		return err
	}
	unix.Sync()
	return errors.Join(m.measure(at), m.unmountAll())
}

// growData is struct xfs_growfs_data of fs/xfs/libxfs/xfs_fs.h.
type growData struct {
	blocks  uint64
	percent uint32
	_       uint32
}

// xfsGrow is XFS_IOC_FSGROWFSDATA, _IOW('X', 110, struct xfs_growfs_data).
const xfsGrow = 1<<30 | 16<<16 | 'X'<<8 | 110

// xfsGeometry is XFS_IOC_FSGEOMETRY_V1, _IOR('X', 100, 112 bytes).
const xfsGeometry = 2<<30 | 112<<16 | 'X'<<8 | 100

func growXFS(at, device string) error {
	dir, err := os.Open(at)
	if err != nil {
		return err
	}
	defer dir.Close()
	var geometry [112]byte
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, dir.Fd(), xfsGeometry, uintptr(unsafe.Pointer(&geometry))); errno != 0 {
		return fmt.Errorf("ask for its geometry: %w", errno)
	}
	block := *(*uint32)(unsafe.Pointer(&geometry[0]))
	percent := *(*uint32)(unsafe.Pointer(&geometry[28]))
	size, err := sizeOf(device)
	if err != nil || block == 0 {
		return errors.Join(err, errors.New("no block size"))
	}
	g := growData{blocks: uint64(size) / uint64(block), percent: percent}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, dir.Fd(), xfsGrow, uintptr(unsafe.Pointer(&g))); errno != 0 {
		return fmt.Errorf("grow it to %d blocks: %w", g.blocks, errno)
	}
	return nil
}

func sizeOf(device string) (int64, error) {
	f, err := os.Open(device)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return f.Seek(0, io.SeekEnd)
}

// btrfsArgs is struct btrfs_ioctl_vol_args of linux/btrfs.h.
type btrfsArgs struct {
	_    int64
	name [4088]byte
}

// btrfsResize is BTRFS_IOC_RESIZE, _IOW(0x94, 3, struct btrfs_ioctl_vol_args);
// btrfsBalance is BTRFS_IOC_BALANCE_V2, _IOWR(0x94, 32, 1024 bytes).
const (
	btrfsResize  = 1<<30 | 4096<<16 | 0x94<<8 | 3
	btrfsBalance = 3<<30 | 1024<<16 | 0x94<<8 | 32
)

func resizeBtrfs(at, size string) error {
	dir, err := os.Open(at)
	if err != nil {
		return err
	}
	defer dir.Close()
	var a btrfsArgs
	copy(a.name[:], size)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, dir.Fd(), btrfsResize, uintptr(unsafe.Pointer(&a))); errno != 0 {
		return fmt.Errorf("resize it to %s: %w", size, errno)
	}
	return nil
}

// shrink makes a btrfs small.
func (m *machine) shrink(s Step) error {
	s.Disk.Tree = false
	at, err := m.mount(s.Disk, true)
	if err != nil {
		return err
	}
	size, err := sizeOf(s.Disk.Device)
	if err != nil {
		return err
	}
	l := lowering{size: size, balance: func() error { return balance(at) }, said: m.say,
		resize: func(size int64) error { return resizeBtrfs(at, fmt.Sprint(size)) },
		again: func() error {
			if err := m.unmountAll(); err != nil {
				return err
			}
			_, err := m.mount(s.Disk, true)
			return err
		}}
	if err := l.run(); err != nil {
		return err
	}
	unix.Sync()
	if err := m.measure(at); err != nil {
		return err
	}
	m.report.Size = l.size
	return m.unmountAll()
}

// balance is struct btrfs_ioctl_balance_args: all of data and metadata is written anew.
func balance(at string) error {
	dir, err := os.Open(at)
	if err != nil {
		return err
	}
	defer dir.Close()
	var args [128]uint64
	args[0] = 1 | 4 // BTRFS_BALANCE_DATA, BTRFS_BALANCE_METADATA
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, dir.Fd(), btrfsBalance, uintptr(unsafe.Pointer(&args))); errno != 0 {
		return fmt.Errorf("balance it: %w", errno)
	}
	return nil
}
