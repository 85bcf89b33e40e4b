package bake

import (
	_ "embed"
	"fmt"
)

//go:embed ember/init
var initScript []byte

// bootModules is what a kernel needs to find its root and its network on any
// machine that Hearth or another cloud makes, and its config drive.
var bootModules = []string{"virtio_pci", "virtio_blk", "virtio_net", "virtio_scsi", "sd_mod", "virtio_rng", "virtio_balloon",
	"ata_piix", "sr_mod", "isofs", "button", "evdev"}

// initialRamdisk makes a small ramdisk: busybox, the modules in the order they
// load, and a script that mounts the root and goes there.
func initialRamdisk(busybox []byte, mods modules) ([]byte, error) {
	order, err := mods.order(bootModules...)
	if err != nil {
		return nil, err
	}
	t := newTree()
	t.dir(0o755, "/dev", "/proc", "/sys", "/root")
	t.file("/bin/busybox", 0o755, busybox)
	for _, name := range []string{"sh", "mount", "insmod", "findfs", "switch_root", "sleep", "cat", "poweroff"} {
		t.symlink("/bin/"+name, "busybox")
	}
	for i, name := range order {
		t.file(fmt.Sprintf("/modules/%02d-%s.ko", i, name), 0o644, mods[name])
	}
	t.file("/init", 0o755, initScript)
	return ramdisk(t)
}
