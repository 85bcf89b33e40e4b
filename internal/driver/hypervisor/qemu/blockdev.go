package qemu

import (
	"encoding/json"
	"fmt"
	"slices"

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
	KeySecret    string          `json:"key-secret,omitempty"`

	Pool  string `json:"pool,omitempty"` // these of driver rbd
	Image string `json:"image,omitempty"`
	User  string `json:"user,omitempty"`
	Conf  string `json:"conf,omitempty"`

	Server    *inet  `json:"server,omitempty"` // these of driver nbd
	Export    string `json:"export,omitempty"`
	TLS       string `json:"tls-creds,omitempty"`
	TLSName   string `json:"tls-hostname,omitempty"`
	Reconnect int    `json:"reconnect-delay,omitempty"` // seconds
}

// inet is a SocketAddress of QEMU.
type inet struct {
	Type string `json:"type"`
	Host string `json:"host"`
	Port string `json:"port"`
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

// keyName is the name of the object with a disk's key.
func keyName(disk string) string { return "key-" + disk }

// blockName is the name of a disk's block node.
func blockName(disk string) string { return "disk-" + disk }

// block describes a disk down to its files, which open names to QEMU. Zeros that the guest writes or discards become
// holes.
func block(d hypervisor.Disk, file func(path string, readOnly bool) *node) *node {
	below := remoteNode(d)
	if below == nil {
		below = file(d.Path, d.ReadOnly)
	}
	top := above(d.Format, below)
	if d.Backing != nil {
		top.Backing = encode(above(d.Backing.Format, file(d.Backing.Path, true)))
	}
	if d.Key != "" { // holes in it would be noise in the clear
		return &node{Driver: "luks", Name: blockName(d.ID), ReadOnly: d.ReadOnly, File: top, KeySecret: keyName(d.ID)}
	}
	top.Name = blockName(d.ID)
	if !d.ReadOnly {
		top.Discard, top.DetectZeroes, top.File.Discard = "unmap", "unmap", "unmap"
	}
	return top
}

// file describes a file or block device by the descriptor that is passed for it. QEMU has a driver for each and by a
// descriptor's name cannot tell them apart.
func (a *arguments) file(d hypervisor.Disk) func(path string, readOnly bool) *node {
	return func(path string, readOnly bool) *node {
		if n := rbdNode(d.ID, path, readOnly); n != nil {
			return n
		}
		return fileNode(a.image(d.ID, path, readOnly), readOnly, a.devices[path])
	}
}

func fileNode(name string, readOnly, device bool) *node {
	driver := "file"
	if device {
		driver = "host_device"
	}
	return &node{Driver: driver, ReadOnly: readOnly, Filename: name}
}

func (a *arguments) disks(disks []hypervisor.Disk) {
	for _, controller := range []struct{ bus, device string }{{hypervisor.BusSCSI, "virtio-scsi-pci,id=scsi0"}, {hypervisor.BusUSB, "qemu-xhci,id=usb0"}} {
		if slices.ContainsFunc(disks, func(d hypervisor.Disk) bool { return d.Bus == controller.bus }) {
			a.option("-device", controller.device)
		}
	}
	for _, d := range disks {
		if d.Key != "" {
			a.option("-object", fmt.Sprintf("secret,id=%s,file=%s", keyName(d.ID), a.secret(d.Key)))
		}
		a.cluster(d)
		a.credentials(d)
		a.option("-blockdev", string(encode(block(d, a.file(d)))))
		a.option("-device", diskDevice(d).words())
	}
}

// encode cannot fail: a node is strings, booleans and JSON of its own making.
func encode(n *node) json.RawMessage { return encodeAny(n) }

func encodeAny(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return raw
}
