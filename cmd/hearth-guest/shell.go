package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"unsafe"
)

// shellName is what the file is called as a login shell.
const shellName = "hearth-shell"

// isShell tells whether the program was called as a login shell: by that name,
// or with a dash before it.
func isShell(arg0 string) bool {
	return strings.TrimPrefix(filepath.Base(arg0), "-") == shellName
}

// From linux/capability.h and linux/prctl.h.
const (
	capNetRaw        = 13
	capVersion3      = 0x20080522
	prSetKeepCaps    = 8
	prCapAmbient     = 47
	prCapAmbientRais = 2
)

// shell becomes /bin/sh for a user, with the right to use raw sockets: ping is
// one of busybox' programs, which has no right of its own, and its shell takes
// that one before any other in PATH. The right is ambient: sh's children have
// it, and it ends with them. The file is setuid root and may be executed by the
// group wheel, who may become root in any case.
func shell(args []string) int {
	runtime.LockOSThread() // rights are a thread's; exec takes this one's
	uid, gid := os.Getuid(), os.Getgid()
	if uid != 0 {
		if err := keepRaw(uid, gid); err != nil {
			fmt.Fprintln(os.Stderr, "hearth-shell:", err)
			return 1
		}
	}
	argv := append([]string{shellArg0(args[0])}, args[1:]...)
	err := syscall.Exec("/bin/sh", argv, append(withoutShell(os.Environ()), "SHELL=/bin/sh"))
	fmt.Fprintln(os.Stderr, "hearth-shell: /bin/sh:", err)
	return 127
}

// shellArg0 keeps the dash of a login shell.
func shellArg0(arg0 string) string {
	if strings.HasPrefix(arg0, "-") {
		return "-sh"
	}
	return "sh"
}

func withoutShell(env []string) []string {
	var kept []string
	for _, e := range env {
		if !strings.HasPrefix(e, "SHELL=") {
			kept = append(kept, e)
		}
	}
	return kept
}

// keepRaw gives up root for good, and every right but that to raw sockets. Where
// the kernel has no ambient rights that one is given up too.
func keepRaw(uid, gid int) error {
	_, _, noKeep := syscall.RawSyscall(syscall.SYS_PRCTL, prSetKeepCaps, 1, 0)
	if _, _, e := syscall.RawSyscall(syscall.SYS_SETRESGID, uintptr(gid), uintptr(gid), uintptr(gid)); e != 0 {
		return os.NewSyscallError("setresgid", e)
	}
	if _, _, e := syscall.RawSyscall(syscall.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); e != 0 {
		return os.NewSyscallError("setresuid", e)
	}
	if noKeep != 0 {
		return nil
	}
	head := struct {
		version uint32
		pid     int32
	}{version: capVersion3}
	sets := [2]struct{ effective, permitted, inheritable uint32 }{{1 << capNetRaw, 1 << capNetRaw, 1 << capNetRaw}}
	if _, _, e := syscall.RawSyscall(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&head)), uintptr(unsafe.Pointer(&sets)), 0); e != 0 {
		return os.NewSyscallError("capset", e)
	}
	_, _, _ = syscall.RawSyscall6(syscall.SYS_PRCTL, prCapAmbient, prCapAmbientRais, capNetRaw, 0, 0, 0)
	return nil
}
