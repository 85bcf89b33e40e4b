package qemu

import (
	"fmt"
	"strings"

	"hearth/internal/driver/hypervisor"
)

// device is the guest's end of a disk or NIC, as -device and device_add take it.
type device []property

type property struct {
	name  string
	value any // string, bool or int
}

// words are the device for the command line.
func (d device) words() string {
	var b strings.Builder
	for i, p := range d {
		value := fmt.Sprint(p.value)
		if on, ok := p.value.(bool); ok {
			value = map[bool]string{true: "on", false: "off"}[on]
		}
		switch {
		case i > 0:
			b.WriteString("," + p.name + "=" + escape(value))
		default:
			b.WriteString(value) // the driver goes first, without its name
		}
	}
	return b.String()
}

// arguments are the device for device_add.
func (d device) arguments() map[string]any {
	m := make(map[string]any, len(d))
	for _, p := range d {
		m[p.name] = p.value
	}
	return m
}

func (d device) id() string {
	for _, p := range d {
		if p.name == "id" {
			return fmt.Sprint(p.value)
		}
	}
	return ""
}

func (d device) rename(id string) {
	for i := range d {
		if d[i].name == "id" {
			d[i].value = id
		}
	}
}

func (d device) driver() string { return d[0].value.(string) }

// diskDevice is the guest's end of a disk.
func diskDevice(d hypervisor.Disk) device {
	model, bus := "virtio-blk-pci", ""
	switch {
	case d.Bus == hypervisor.BusSCSI && d.CDROM:
		model, bus = "scsi-cd", scsiBus
	case d.Bus == hypervisor.BusSCSI:
		model, bus = "scsi-hd", scsiBus
	case d.Bus == hypervisor.BusUSB:
		model = "usb-storage"
	case d.CDROM:
		model = "ide-cd"
	case d.Bus == hypervisor.BusIDE:
		model = "ide-hd"
	}
	out := device{{"driver", model}}
	if bus != "" {
		out = append(out, property{"bus", bus})
	}
	out = append(out, property{"id", d.ID}, property{"drive", blockName(d.ID)})
	if d.Shared {
		out = append(out, property{"share-rw", true})
	}
	if d.Serial != "" {
		out = append(out, property{"serial", d.Serial})
	}
	if d.BootIndex > 0 {
		out = append(out, property{"bootindex", d.BootIndex})
	}
	return out
}

// The SCSI controller of a guest that has such disks, and its bus.
const (
	scsiController = "scsi0"
	scsiBus        = scsiController + ".0"
)

// netName is the name of a NIC's network back end.
func netName(nic string) string { return "net-" + nic }

// nicDevice is the guest's end of a NIC. An empty romfile spares the guest the network boot ROM.
func nicDevice(n hypervisor.NIC) device {
	out := device{{"driver", or(n.Model, "virtio-net-pci")}, {"id", n.ID}, {"netdev", netName(n.ID)}, {"mac", n.MAC}, {"romfile", ""}}
	if n.MTU != 0 && n.Model == "" {
		out = append(out, property{"host_mtu", n.MTU})
	}
	return out
}
