package appliance

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"

	"hearth/internal/disk"
	"hearth/internal/disk/appliance/inside"
)

// node adds a block node.
func (r *run) node(name string, options map[string]any) string {
	options["node-name"] = name
	b, _ := json.Marshal(options) // of words and numbers
	r.nodes = append(r.nodes, string(b))
	return name
}

// layer adds the file of an image, and what of its disk is the file system. Names of
// other files that its header may have are not followed.
func (r *run) layer(fs disk.FileSystem, readOnly bool) string {
	n := r.disks
	if fs.File != nil {
		r.open, fs.Layer.Path = fs.File, disk.DiskPath
	} else if readOnly {
		r.paths = append(r.paths, fs.Layer.Path)
	} else {
		r.over = append(r.over, fs.Layer.Path)
	}
	file := map[string]any{"driver": "file", "filename": fs.Layer.Path, "read-only": readOnly, "discard": "unmap", "locking": "off",
		"cache": map[string]any{"direct": false, "no-flush": true}}
	image := map[string]any{"driver": string(fs.Layer.Format), "read-only": readOnly, "discard": "unmap", "file": file}
	if fs.Layer.Format == disk.QCOW2 {
		image["backing"] = nil
	}
	r.node(fmt.Sprintf("image%d", n), image)
	return r.node(fmt.Sprintf("part%d", n), map[string]any{"driver": "raw", "read-only": readOnly, "discard": "unmap",
		"offset": fs.Offset, "size": fs.Size / 512 * 512, "file": fmt.Sprintf("image%d", n)})
}

// attach makes a node a disk of the guest.
func (r *run) attach(fs disk.FileSystem) inside.Disk {
	r.disks++
	return inside.Disk{Device: "/dev/vd" + string(rune('a'+r.disks-1)), Kind: fs.Kind, UUID: fs.UUID, Tree: fs.Tree}
}

// write adds a disk that the guest changes, or whose changes a log takes.
func (r *run) write(ctx context.Context, fs disk.FileSystem) (inside.Disk, error) {
	if fs.Over != "" {
		if err := r.tool.CreateRedo(ctx, fs.Over, fs.Size/512*512); err != nil {
			return inside.Disk{}, err
		}
		return r.above(fs, fs.Over), nil
	}
	r.node(fmt.Sprintf("disk%d", r.disks), map[string]any{"driver": "raw", "discard": "unmap", "file": r.layer(fs, false)})
	return r.attach(fs), nil
}

// read adds a disk whose changes are thrown away.
func (r *run) read(ctx context.Context, fs disk.FileSystem) (inside.Disk, error) {
	over := filepath.Join(r.dir, fmt.Sprintf("over%d", r.disks))
	if err := r.tool.CreateOverlay(ctx, over, fs.Layer, fs.Size/512*512); err != nil {
		return inside.Disk{}, err
	}
	return r.above(fs, over), nil
}

// above adds a disk whose changes go to the qcow2 over.
func (r *run) above(fs disk.FileSystem, over string) inside.Disk {
	r.over = append(r.over, over)
	r.node(fmt.Sprintf("disk%d", r.disks), map[string]any{"driver": "qcow2", "discard": "unmap", "backing": r.layer(fs, true),
		"file": map[string]any{"driver": "file", "filename": over, "cache": map[string]any{"direct": false, "no-flush": true}}})
	return r.attach(fs)
}

// arguments is QEMU's command line. The results come by standard output, what the
// kernel says by standard error. no_timer_check: on a busy host an emulated timer is late for the
// kernel's test of it, which then gives up ("IO-APIC + timer doesn't work").
func (r *run) arguments(accel, kernel, ramdisk string) []string {
	args := []string{"-machine", "pc,usb=off,vmport=off", "-name", "appliance", "-no-user-config", "-nodefaults", "-display", "none", "-vga", "none",
		"-m", fmt.Sprintf("%dM", memory), "-smp", "1", "-no-reboot", "-nic", "none",
		"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"}
	if accel == "kvm" {
		args = append(args, "-accel", "kvm", "-cpu", "host")
	} else {
		args = append(args, "-accel", "tcg,thread=multi,tb-size=128", "-cpu", "max")
	}
	args = append(args, "-kernel", kernel, "-initrd", ramdisk, "-append", "console=ttyS0 quiet panic=-1 oops=panic no_timer_check mitigations=off apparmor=0 selinux=0 random.trust_cpu=on",
		"-chardev", "file,id=console,path=/proc/self/fd/2", "-device", "isa-serial,chardev=console,index=0",
		"-chardev", "file,id=reports,path=/proc/self/fd/1", "-device", "isa-serial,chardev=reports,index=1")
	for _, n := range r.nodes {
		args = append(args, "-blockdev", n)
	}
	for i := range r.disks {
		args = append(args, "-device", fmt.Sprintf("virtio-blk-pci,drive=disk%d,discard=on", i))
	}
	return args
}
