package qemu

import (
	"fmt"
	"os"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// role says where a descriptor that a guest's process gets comes from.
type role int

const (
	roleLock role = iota
	roleMonitor
	roleSerial
	roleAgent
	rolePath         // open Path with Flags
	roleBoot         // open Path, or a copy of it that the guest's user can read
	roleTap          // the NIC's tap
	roleSecret       // Text, in a pipe
	roleKeyring      // the key to the cluster of the image Path, in a pipe
	roleIdentity     // a directory with the files of an Identity
	roleStart    = 3 // the first descriptor that os/exec hands on
)

// passed is one descriptor of a guest's process.
type passed struct {
	role  role
	path  string
	flags int
	copy  string // of roleBoot: the copy's name in the guest's directory
	tap   *os.File
	text  cloud.Secret // of roleSecret

	identity hypervisor.Identity // of roleIdentity, whose directory has the name copy
}

// table assigns descriptors: the first file is descriptor 3.
type table struct{ files []passed }

func (t *table) add(p passed) int {
	t.files = append(t.files, p)
	return roleStart + len(t.files) - 1
}

// host is what the command line depends on beside the guest itself.
type host struct {
	accel   string
	machine string
	log     string          // the console log's path
	devices map[string]bool // paths that are block devices
}

// bootFile names a file of direct boot to QEMU, which opens it by name. The name of a descriptor works where the
// directories on the way to the file are closed.
func (t *table) bootFile(path, name string) string {
	fd := t.add(passed{role: roleBoot, path: path, flags: os.O_RDONLY, copy: name})
	return fmt.Sprintf("/proc/self/fd/%d", fd)
}

// image passes a disk's file and tells the set by which QEMU opens it.
func (a *arguments) image(disk, path string, readOnly bool) string {
	return a.set(a.add(passed{role: rolePath, path: path, flags: accessOf(readOnly)}), blockName(disk))
}

// secret passes a secret: no argument and no file tells it, and it can be read once.
func (t *table) secret(text cloud.Secret) string {
	return fmt.Sprintf("/proc/self/fd/%d", t.add(passed{role: roleSecret, text: text}))
}

// accessOf is how a disk's file is opened.
func accessOf(readOnly bool) int {
	if readOnly {
		return os.O_RDONLY
	}
	return os.O_RDWR
}

// set makes a descriptor openable under a name. QEMU takes the descriptor away and keeps a copy, with a note whose it is.
func (a *arguments) set(fd int, whose string) string {
	a.option("-add-fd", fmt.Sprintf("fd=%d,set=%d,opaque=%s", fd, fd, whose))
	return fmt.Sprintf("/dev/fdset/%d", fd)
}

func (a *arguments) tap(n hypervisor.NIC) int { return a.add(passed{role: roleTap, tap: n.Tap}) }
