package bake

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
)

//go:embed ember/init
var initScript []byte

// bootModules is what a kernel needs on any machine that Hearth or another cloud
// makes, in three parts: the usual disk, which is loaded first; network, config
// drive and power button; all else, which is loaded while the rest starts, or
// at once when the root is not on the usual disk.
var bootModules = [3][]string{
	{"virtio_pci", "virtio_blk"},
	{"virtio_net", "isofs", "button", "evdev", "virtio_rng"},
	{"virtio_scsi", "sd_mod", "ata_piix", "sr_mod", "virtio_balloon"},
}

// initialRamdisk makes a small ramdisk: busybox, the modules of three parts in the
// order they load, and a script that mounts the root and goes there.
func (o *oven) initialRamdisk(ctx context.Context, busybox []byte, mods modules, parts [3][]string) ([]byte, error) {
	t := newTree()
	t.dir(0o755, "/dev", "/proc", "/sys", "/root")
	t.file("/bin/busybox", 0o755, busybox)
	for _, name := range []string{"sh", "mount", "insmod", "dd", "hexdump", "tr", "switch_root", "sleep", "cat", "cp"} {
		t.symlink("/bin/"+name, "busybox")
	}
	var wanted []string
	placed := 0
	for part, names := range parts {
		wanted = append(wanted, names...)
		order, err := mods.order(wanted...) // begins with the order of the part before
		if err != nil {
			return nil, err
		}
		for ; placed < len(order); placed++ {
			t.file(fmt.Sprintf("/modules/%d/%02d-%s.ko", part+1, placed, order[placed]), 0o644, mods[order[placed]])
		}
	}
	t.file("/init", 0o755, initScript)
	return o.ramdisk(ctx, t)
}

// ramdisk packs a tree.
func (o *oven) ramdisk(ctx context.Context, t *tree) ([]byte, error) {
	name := filepath.Join(o.work, "ramdisk.cpio")
	if err := os.WriteFile(name, archive(t), 0o600); err != nil {
		return nil, err
	}
	defer os.Remove(name)
	return o.run.Zstd(ctx, name)
}
