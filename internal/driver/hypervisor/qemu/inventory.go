package qemu

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"hearth/internal/driver/hypervisor"
)

// sparePort begins the names of the ports that q35 guests have for hot plugging.
const sparePort = "spare"

// peripheral is where QEMU keeps the devices that have an id, in its object tree.
const peripheral = "/machine/peripheral"

// cards are the models of NICs.
var cards = []string{"virtio-net-pci", "e1000", "e1000e", "rtl8139"}

// object is an entry of QEMU's object tree.
type object struct {
	Name string `json:"name"`
	Type string `json:"type"` // of a child "child<virtio-blk-pci>"
}

func (o object) model() string {
	return strings.TrimSuffix(strings.TrimPrefix(o.Type, "child<"), ">")
}

// peripherals lists the devices that have an id, and their models.
func (g *guest) peripherals(ctx context.Context, op string) (map[string]string, error) {
	var list []object
	if err := g.ask(ctx, op, nil, "qom-list", map[string]any{"path": peripheral}, &list); err != nil {
		return nil, err
	}
	models := map[string]string{}
	for _, o := range list {
		if strings.HasPrefix(o.Type, "child<") {
			models[o.Name] = o.model()
		}
	}
	return models, nil
}

// blockNode is what query-named-block-nodes says of one.
type blockNode struct {
	Name  string `json:"node-name"`
	Image struct {
		Size int64 `json:"virtual-size"`
	} `json:"image"`
}

func (g *guest) blockNodes(ctx context.Context, op string) (map[string]blockNode, error) {
	var list []blockNode
	if err := g.ask(ctx, op, nil, "query-named-block-nodes", map[string]any{"flat": true}, &list); err != nil {
		return nil, err
	}
	nodes := map[string]blockNode{}
	for _, n := range list {
		nodes[n.Name] = n
	}
	return nodes, nil
}

// diskDevices are the devices of the guest's disks, by the disks' ids. A device keeps the name that it was plugged by when
// another disk takes the place of its own (MirrorDisk).
func (g *guest) diskDevices(ctx context.Context, op string) (map[string]string, error) {
	var list []struct {
		Device   string `json:"qdev"` // its id, or a path in QEMU's object tree that begins with its
		Inserted *struct {
			Node string `json:"node-name"`
		} `json:"inserted"`
	}
	if err := g.ask(ctx, op, nil, "query-block", nil, &list); err != nil {
		return nil, err
	}
	on := map[string]string{}
	for _, b := range list {
		if b.Inserted == nil || b.Device == "" {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(b.Device, peripheral+"/"), "/")
		if disk, ours := strings.CutPrefix(b.Inserted.Node, blockName("")); ours {
			on[disk] = name
		}
	}
	return on, nil
}

// deviceOf is the name of the device of a disk or NIC; "" when there is none.
func deviceOf(id string, models, on map[string]string) string {
	if on[id] != "" {
		return on[id]
	}
	for _, name := range on {
		if name == id { // another disk has it
			return ""
		}
	}
	if models[id] != "" {
		return id
	}
	return ""
}

// pciBus is what query-pci says of one.
type pciBus struct {
	Bus     int         `json:"bus"`
	Devices []pciDevice `json:"devices"`
}

type pciDevice struct {
	Bus      int    `json:"bus"`
	Slot     int    `json:"slot"`
	Function int    `json:"function"`
	ID       string `json:"qdev_id"`
	Bridge   *struct {
		Devices []pciDevice `json:"devices"`
	} `json:"pci_bridge"`
}

// pci lists the devices on the guest's PCI buses, those behind bridges too.
func (g *guest) pci(ctx context.Context, op string) (all []pciDevice, err error) {
	var buses []pciBus
	if err := g.ask(ctx, op, nil, "query-pci", nil, &buses); err != nil {
		return nil, err
	}
	var add func(list []pciDevice)
	add = func(list []pciDevice) {
		for _, d := range list {
			all = append(all, d)
			if d.Bridge != nil {
				add(d.Bridge.Devices)
			}
		}
	}
	for _, b := range buses {
		add(b.Devices)
	}
	return all, nil
}

// Devices implements hypervisor.Guest.
func (g *guest) Devices(ctx context.Context) ([]hypervisor.Device, error) {
	const op = "hypervisor.Devices"
	models, err := g.peripherals(ctx, op)
	if err != nil {
		return nil, err
	}
	nodes, err := g.blockNodes(ctx, op)
	if err != nil {
		return nil, err
	}
	slots, err := g.pci(ctx, op)
	if err != nil {
		return nil, err
	}
	on, err := g.diskDevices(ctx, op)
	if err != nil {
		return nil, err
	}
	disks := map[string]string{} // by device
	for disk, name := range on {
		disks[name] = disk
	}
	address := map[string]string{}
	for _, d := range slots {
		address[d.ID] = fmt.Sprintf("0000:%02x:%02x.%x", d.Bus, d.Slot, d.Function)
	}
	var out []hypervisor.Device
	for id, model := range models {
		d := hypervisor.Device{ID: id, Address: address[id]}
		disk, isDisk := disks[id]
		switch {
		case isDisk:
			d.ID, d.Disk, d.Size = disk, true, nodes[blockName(disk)].Image.Size
		case slices.Contains(cards, model):
			if err := g.ask(ctx, op, nil, "qom-get", map[string]any{"path": peripheral + "/" + id, "property": "mac"}, &d.MAC); err != nil {
				return nil, err
			}
			d.MAC = strings.ToLower(d.MAC)
		default:
			continue // the balloon, a controller, a port
		}
		if d.Driver, err = g.driverOf(ctx, op, id, model); err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b hypervisor.Device) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}
