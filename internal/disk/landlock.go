package disk

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Landlock lets a thread give up the file system for itself and all it
// starts; it needs no rights. Source: Documentation/userspace-api/landlock.rst.

const (
	landRead = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	landFile = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE
)

// systemReads is what tools need to start at all. /proc is needed by e2fsck to
// see what is mounted; Landlock forbids to look into other processes by it.
var systemReads = []string{"/usr", "/lib", "/lib64", "/bin", "/sbin", "/proc", "/sys/devices/system/cpu",
	"/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/mke2fs.conf", "/etc/e2fsck.conf", "/etc/mtab", "/etc/localtime",
	"/dev/zero", "/dev/urandom", "/dev/random"}

// landlockABI is the version the kernel has; 0 when it has none.
func landlockABI() int {
	v, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(v)
}

// confine binds the calling thread, for good, to reading the system's programs
// and the paths of read, and writing the paths of write; to no TCP, and to no
// other process' memory. The caller has locked the thread and never unlocks it.
// Without Landlock in the kernel it only forbids new rights.
func confine(read, write []string) error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	abi := landlockABI()
	if abi == 0 {
		return nil
	}
	attr := landlockAttr(abi)
	size := uintptr(24) // up to the field scoped; older kernels know less
	if abi < 6 {
		size = 16
	}
	if abi < 4 {
		size = 8
	}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), size, 0)
	if errno != 0 {
		return errno
	}
	defer unix.Close(int(fd))
	if err := addPaths(int(fd), attr.Handled_access_fs, read, write); err != nil {
		return err
	}
	if _, _, errno = unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// landlockAttr asks for all that the version abi can forbid.
func landlockAttr(abi int) unix.LandlockRulesetAttr {
	a := unix.LandlockRulesetAttr{Handled_access_fs: 1<<13 - 1}
	if abi >= 2 {
		a.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if abi >= 3 {
		a.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if abi >= 4 {
		a.Handled_access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if abi >= 6 {
		a.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	}
	return a
}

func addPaths(fd int, handled uint64, read, write []string) error {
	for _, p := range systemReads {
		if err := addPath(fd, p, landRead&handled); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	for _, p := range read {
		if err := addPath(fd, p, landRead&handled); err != nil {
			return err
		}
	}
	for _, p := range append([]string{"/dev/null"}, write...) {
		if err := addPath(fd, p, landFile&handled); err != nil {
			return err
		}
	}
	return nil
}

func addPath(ruleset int, path string, access uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR { // a file takes rights of files only
		access &= landFile | unix.LANDLOCK_ACCESS_FS_EXECUTE
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: access, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	if errno != 0 {
		return &os.PathError{Op: "landlock", Path: path, Err: errno}
	}
	return nil
}
