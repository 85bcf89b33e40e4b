// Package ova reads and writes virtual machines in a file: the OVA of DMTF's Open
// Virtualization Format (DSP0243 1.1 and 2.1), a tar file with a descriptor in
// XML, a manifest of hashes and the disks; and Vagrant's box for libvirt.
//
// What comes in is hostile: all is bounded, members are flat names that are never
// used as paths, a disk that lies anywhere else than in the file is refused, hashes
// are checked, and nothing is unpacked but the one disk that is asked for.
package ova

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hearth/internal/disk"
)

// Machine is what a package says of the virtual machine.
type Machine struct {
	Name     string `json:"name"`
	System   string `json:"system,omitempty"` // the guest, as people write it
	CPUs     int    `json:"cpus"`             // 0: not said
	MemoryMB int64  `json:"memory_mb"`        // MiB; 0: not said
	Firmware string `json:"firmware,omitempty"`
	NICs     []NIC  `json:"nics"`
	Disks    []Disk `json:"disks"`
}

// NIC is a network card.
type NIC struct {
	Network string `json:"network"`
	Model   string `json:"model"` // as the package says: "E1000", "VmxNet3" …
}

// Disk is a disk of the machine, in the order of its devices.
type Disk struct {
	ID       string `json:"id"`
	File     string `json:"file"` // the member
	Capacity int64  `json:"capacity"`
	Bus      string `json:"bus"` // "ide", "sata", "scsi" or "virtio"
	Size     int64  `json:"size"`

	sum sum // that the manifest has for it; none without
	at  int64
}

// Properties are those of an image of the machine, as the Image API has them:
// hw_disk_bus, hw_vif_model and hw_firmware_type, and min_ram in MiB.
func (m *Machine) Properties() map[string]string {
	p := map[string]string{}
	if m.MemoryMB > 0 {
		p["min_ram"] = strconv.FormatInt(m.MemoryMB, 10)
	}
	if len(m.Disks) > 0 && m.Disks[0].Bus != "" {
		p["hw_disk_bus"] = m.Disks[0].Bus
	}
	if len(m.NICs) > 0 {
		p["hw_vif_model"] = model(m.NICs[0].Model)
	}
	if m.Firmware == "efi" {
		p["hw_firmware_type"] = "uefi"
	}
	return p
}

// model is the card of ours that a guest's driver takes in place of another: who has
// a driver for VMware's own or AMD's has one for Intel's.
func model(of string) string {
	switch of = strings.ToLower(of); {
	case strings.HasPrefix(of, "virtio"):
		return "virtio"
	case of == "e1000e", of == "rtl8139":
		return of
	}
	return "e1000"
}

// Lines are the properties as people read them.
func (m *Machine) Lines() []string {
	var lines []string
	for k, v := range m.Properties() {
		lines = append(lines, k+"="+v)
	}
	slices.Sort(lines)
	return lines
}

const op = "read ova"

func refuse(format string, args ...any) error {
	return &disk.Error{Kind: disk.Refused, Op: op, Reason: fmt.Sprintf(format, args...)}
}

func unsupported(format string, args ...any) error {
	return &disk.Error{Kind: disk.Unsupported, Op: op, Reason: fmt.Sprintf(format, args...)}
}
