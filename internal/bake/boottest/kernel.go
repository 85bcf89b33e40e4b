package boottest

import (
	"context"
	"fmt"
	"os"
	"strings"

	"hearth/internal/bake/vm"
	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestos"
)

// beside finds the kernel and the ramdisk of an Amazon image, as 'hearth image convert
// --to ami' names them: NAME.vmlinuz and NAME.initrd beside NAME.ext4.
func (t *test) beside() {
	stem, ok := strings.CutSuffix(t.opt.Image, ".ext4")
	if !ok || t.opt.Kernel != "" {
		return
	}
	if _, err := os.Stat(stem + ".vmlinuz"); err != nil {
		return
	}
	t.opt.Kernel = stem + ".vmlinuz"
	if _, err := os.Stat(stem + ".initrd"); err == nil && t.opt.Ramdisk == "" {
		t.opt.Ramdisk = stem + ".initrd"
	}
}

// commandLine settles what a kernel outside of the image is told: the words of the
// image's own menu, its root, and that it speaks on the serial line.
func (t *test) commandLine(ctx context.Context) error {
	if t.opt.Kernel == "" || t.opt.Append != "" {
		return nil
	}
	d, err := guestfs.Open(ctx, t.run, []disk.Layer{t.layer}, guestfs.ReadOnly)
	if err != nil {
		return err
	}
	defer d.Close()
	tree, err := d.Tree()
	if err != nil {
		return fail("which root the kernel is to look for is not known (%v): say it by --append", err)
	}
	args := ""
	if e := guestos.DefaultEntry(tree); e != nil {
		args = e.Args
	}
	t.opt.Append = kernelLine(args, tree.Root.UUID, t.opt.Ramdisk != "")
	return nil
}

// kernelLine names the root by its UUID if there is a ramdisk that looks for it, else
// as the first disk.
func kernelLine(args, uuid string, ramdisk bool) string {
	line := []string{"root=/dev/vda"}
	if ramdisk {
		line[0] = "root=UUID=" + uuid
	}
	serial := false
	for f := range strings.FieldsSeq(args) {
		if strings.HasPrefix(f, "root=") || strings.HasPrefix(f, "BOOT_IMAGE=") {
			continue
		}
		serial = serial || strings.HasPrefix(f, "console=ttyS0")
		line = append(line, f)
	}
	if !serial {
		line = append(line, "console=ttyS0,115200")
	}
	return strings.Join(line, " ")
}

// kernel adds the kernel that lies outside of the image.
func (t *test) kernel(l *vm.Line) error {
	if t.opt.Kernel == "" {
		return nil
	}
	for _, f := range []struct{ flag, name string }{{"-kernel", t.opt.Kernel}, {"-initrd", t.opt.Ramdisk}} {
		if f.name == "" {
			continue
		}
		file, err := os.Open(f.name)
		if err != nil {
			return err
		}
		l.Add(f.flag, fmt.Sprintf("/proc/self/fd/%d", l.FD(file))) // QEMU opens these by the C library, which knows no sets
	}
	l.Add("-append", t.opt.Append)
	return nil
}
