package qemu

import (
	"encoding/json"
	"fmt"

	"hearth/internal/driver/hypervisor"
)

// node is a block node as -blockdev and blockdev-add take it
// (https://www.qemu.org/docs/master/interop/qemu-qmp-ref.html, BlockdevOptions).
type node struct {
	Driver       string          `json:"driver"`
	Name         string          `json:"node-name,omitempty"`
	ReadOnly     bool            `json:"read-only"`
	Discard      string          `json:"discard,omitempty"`
	DetectZeroes string          `json:"detect-zeroes,omitempty"`
	Filename     string          `json:"filename,omitempty"`
	File         *node           `json:"file,omitempty"`
	Backing      json.RawMessage `json:"backing,omitempty"`
}

// nothing as a backing keeps QEMU from opening what an image's own header names.
var nothing = json.RawMessage("null")

// above describes the format over a file.
func above(format string, file *node) *node {
	n := &node{Driver: format, ReadOnly: file.ReadOnly, File: file}
	if format == hypervisor.FormatQCOW2 {
		n.Backing = nothing
	}
	return n
}

// block describes a disk down to its files. Zeros that the guest writes or discards become holes.
func (a *arguments) block(d hypervisor.Disk) *node {
	top := above(d.Format, a.file(d.Path, d.ReadOnly))
	top.Name = "disk-" + d.ID
	if !d.ReadOnly {
		top.Discard, top.DetectZeroes, top.File.Discard = "unmap", "unmap", "unmap"
	}
	if d.Backing != nil {
		top.Backing = encode(above(d.Backing.Format, a.file(d.Backing.Path, true)))
	}
	return top
}

// file describes a file or block device by the descriptor that is passed for it. QEMU has a driver for each and by a
// descriptor's name cannot tell them apart.
func (a *arguments) file(path string, readOnly bool) *node {
	driver := "file"
	if a.devices[path] {
		driver = "host_device"
	}
	return &node{Driver: driver, ReadOnly: readOnly, Filename: a.image(path, readOnly)}
}

func (a *arguments) disks(disks []hypervisor.Disk) {
	for _, d := range disks {
		if d.Bus == hypervisor.BusSCSI {
			a.option("-device", "virtio-scsi-pci,id=scsi0")
			break
		}
	}
	for _, d := range disks {
		a.option("-blockdev", string(encode(a.block(d))))
		a.option("-device", device(d))
	}
}

// device is the guest's end of a disk.
func device(d hypervisor.Disk) string {
	var model string
	switch {
	case d.Bus == hypervisor.BusSCSI && d.CDROM:
		model = "scsi-cd,bus=scsi0.0"
	case d.Bus == hypervisor.BusSCSI:
		model = "scsi-hd,bus=scsi0.0"
	case d.CDROM:
		model = "ide-cd"
	case d.Bus == hypervisor.BusIDE:
		model = "ide-hd"
	default:
		model = "virtio-blk-pci"
	}
	s := fmt.Sprintf("%s,id=%s,drive=disk-%s", model, d.ID, d.ID)
	if d.Serial != "" {
		s += ",serial=" + escape(d.Serial)
	}
	if d.BootIndex > 0 {
		s += fmt.Sprintf(",bootindex=%d", d.BootIndex)
	}
	return s
}

// encode cannot fail: a node is strings, booleans and JSON of its own making.
func encode(n *node) json.RawMessage {
	raw, err := json.Marshal(n)
	if err != nil {
		panic(err)
	}
	return raw
}
