// Package extlinux makes an ext file system boot by EXTLINUX, the Syslinux project's
// loader for BIOS machines, in a file and without mounting it. Its own installer wants
// a mounted file system; all that it does is writing bytes:
//
//	MBR         mbr.bin: starts the partition that is marked
//	boot sector of the partition, which ext leaves free: loads the first sector of ldlinux.sys
//	ldlinux.sys the rest of itself by a list of sectors, then ldlinux.c32 and the menu by their names
//
// The parts are taken out of Debian's program /usr/bin/extlinux, which carries them. The
// places that are written into them are those of syslxint.h and syslxmod.c of Syslinux 6.
package extlinux

import (
	"fmt"
	"os"

	"hearth/internal/disk"
)

// Folder of the loader's files in the file system.
const Folder = "/boot/extlinux"

// ConfigPath is where the loader looks for its menu.
const ConfigPath = Folder + "/extlinux.conf"

const (
	systemPath = Folder + "/ldlinux.sys"
	modulePath = Folder + "/ldlinux.c32"

	sector = 512
	op     = "install extlinux"
)

// Loader is what is put on a disk.
type Loader struct {
	master []byte // code of the MBR, up to 440 bytes
	boot   []byte // boot sector of the partition
	system []byte // ldlinux.sys, whole sectors
	module []byte // ldlinux.c32, which belongs to it
}

func fail(kind disk.Kind, format string, args ...any) error {
	return &disk.Error{Kind: kind, Op: op, Reason: fmt.Sprintf(format, args...)}
}

// Load takes the loader from what is installed here; ToolMissing if it is not.
func Load() (*Loader, error) {
	program, err := first("/usr/bin/extlinux", "/usr/sbin/extlinux", "/sbin/extlinux")
	if err != nil {
		return nil, err
	}
	l, err := parse(program)
	if err != nil {
		return nil, err
	}
	l.master, err = first("/usr/lib/EXTLINUX/mbr.bin", "/usr/lib/syslinux/mbr/mbr.bin", "/usr/share/syslinux/mbr.bin")
	if err == nil && (len(l.master) == 0 || len(l.master) > 440) {
		err = fail(disk.Unsupported, "mbr.bin has %d bytes, not up to 440", len(l.master))
	}
	return l, err
}

// first reads the first of the files that is there.
func first(names ...string) ([]byte, error) {
	for _, name := range names {
		if b, err := os.ReadFile(name); err == nil {
			return b, nil
		}
	}
	return nil, fail(disk.ToolMissing, "%s is missing; Debian has it in the package extlinux", names[0])
}

// MBR is the code for the first sector of the disk, at most 440 bytes.
func (l *Loader) MBR() []byte { return l.master }

// Files are put into the file system before [Loader.Install]; the menu, at ConfigPath,
// besides them.
func (l *Loader) Files() []disk.File {
	return []disk.File{
		{Path: systemPath, Mode: 0o444, Data: append(l.system[:len(l.system):len(l.system)], vector()...)},
		{Path: modulePath, Mode: 0o644, Data: l.module},
	}
}
