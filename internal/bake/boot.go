package bake

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"hearth/internal/disk"
)

// grubModules is all that GRUB needs to read a menu and a kernel from ext4 on
// an MBR disk and to show both on the serial line.
var grubModules = []string{"biosdisk", "part_msdos", "ext2", "normal", "linux16", "configfile", "serial", "terminal", "echo", "test", "search", "search_fs_uuid"}

// grubBoot is where Debian's grub-pc-bin has the first sector.
const grubBoot = "/usr/lib/grub/i386-pc/boot.img"

// grubConfig shows the menu and what follows on screen and serial line, and waits so
// long, in whole seconds, for a person to choose. The kernel is started by linux16: what
// GRUB's linux loads, it moves afterwards, byte by byte and with all the room that the
// unpacked kernel will want: 53 MB, 2.6 s on an emulated processor (ADR 102).
func grubConfig(title, kernel, ramdisk, params string, wait time.Duration) string {
	return fmt.Sprintf(`# Made by hearth bake. The kernel is found by these names after an upgrade too.
if serial --unit=0 --speed=115200; then
	terminal_input console serial
	terminal_output console serial
fi
set default=0
set timeout=%d
menuentry "%s" {
	echo "Loading %s"
	linux16 %s %s
	echo "Loading its initial ramdisk"
	initrd16 %s
}
`, int(wait.Seconds()), title, kernel, kernel, params, ramdisk)
}

// bootable makes the raw disk: MBR with GRUB's first sector, GRUB's core in the
// gap, and the root file system with the boot files in the one partition.
// boot.img loads sector 1 and core.img goes on with sector 2 as they come, so
// nothing has to be patched for this place.
func (o *oven) bootable(ctx context.Context, sys *system, root string, size int64) (string, error) {
	if o.Firmware == firmwareHybrid {
		return o.hybrid(ctx, sys, root, size)
	}
	head, err := o.bootHead(ctx, gap+size)
	if err != nil {
		return "", err
	}
	path := filepath.Join(o.work, "disk")
	done := o.steps.begin("put the disk together", size)
	if err := join(path, head, root); err != nil {
		return "", done.end(err)
	}
	err = o.run.Inject(ctx, []disk.Layer{{Path: path, Format: disk.Raw}}, sys.boot)
	return path, done.end(err)
}

// bootHead is all before the partition.
func (o *oven) bootHead(ctx context.Context, size int64) ([]byte, error) {
	first, err := os.ReadFile(grubBoot)
	if err != nil {
		return nil, fmt.Errorf("GRUB is missing; Debian has it in grub-pc-bin: %w", err)
	}
	core := filepath.Join(o.work, "core.img")
	if err := o.run.GRUB(ctx, core, "(hd0,msdos1)/boot/grub", grubModules...); err != nil {
		return nil, err
	}
	code, err := os.ReadFile(core)
	if err != nil {
		return nil, err
	}
	if len(first) < 440 || len(code) > gap-512 {
		return nil, fmt.Errorf("GRUB does not fit: boot.img has %d bytes, the core %d", len(first), len(code))
	}
	head := make([]byte, gap)
	copy(head, first[:440])
	copy(head[512:], code)
	disk.MBRTable(head[:512], gap, size)
	return head, nil
}

// join writes head and then the file tail to path, without zeros.
func join(path string, head []byte, tail string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	w, err := disk.NewSparseWriter(f)
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	in, err := os.Open(tail)
	if err != nil {
		return err
	}
	defer in.Close()
	if _, err := w.ReadFrom(in); err != nil {
		return err
	}
	return w.Finish()
}
