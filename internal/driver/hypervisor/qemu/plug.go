package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// PlugDisk implements hypervisor.Guest. QEMU, which runs as a user of its own and may open nothing, is handed the open
// files.
func (g *guest) PlugDisk(ctx context.Context, d hypervisor.Disk) error {
	const op = "hypervisor.PlugDisk"
	if err := d.Validate(); err != nil {
		return err
	}
	if d.CDROM || d.Bus == hypervisor.BusIDE || d.Bus == hypervisor.BusUSB {
		return cloud.E(op, cloud.Conflict, "guest %s: its IDE bus takes no disk while it runs; attach it while the server is shut off", g.handle.ID)
	}
	models, err := g.peripherals(ctx, op)
	if err != nil {
		return err
	}
	on, err := g.diskDevices(ctx, op)
	if err != nil || on[d.ID] != "" {
		return err
	}
	nodes, err := g.blockNodes(ctx, op)
	if err != nil {
		return err
	}
	if _, half := nodes[blockName(d.ID)]; !half {
		if err := g.addBlock(ctx, op, d); err != nil {
			return errors.Join(err, g.dropBlock(ctx, op, d.ID))
		}
	}
	if d.Bus == hypervisor.BusSCSI && models[scsiController] == "" {
		err = g.addDevice(ctx, op, device{{"driver", "virtio-scsi-pci"}, {"id", scsiController}})
	}
	if err == nil {
		dev := diskDevice(d)
		for models[dev.id()] != "" { // a device that another disk took over goes by the name still
			dev.rename(dev.id() + ".")
		}
		err = g.addDevice(ctx, op, dev)
	}
	if err != nil {
		return errors.Join(err, g.dropBlock(ctx, op, d.ID))
	}
	return nil
}

// addBlock gives QEMU a disk's files and makes the block node of them.
func (g *guest) addBlock(ctx context.Context, op string, d hypervisor.Disk) error {
	var failed error
	devices := blockDevices(hypervisor.Config{Disks: []hypervisor.Disk{d}})
	top := block(d, func(path string, readOnly bool) *node {
		if n := rbdNode(d.ID, path, readOnly); n != nil {
			return n
		}
		name, err := g.passFile(ctx, op, blockName(d.ID), path, readOnly)
		failed = errors.Join(failed, err)
		return fileNode(name, readOnly, devices[path])
	})
	if failed != nil {
		return failed
	}
	if d.Remote != nil {
		if err := g.passIdentity(ctx, op, d); err != nil {
			return err
		}
	}
	if d.Key == "" {
		return g.openBlock(ctx, op, d, top)
	}
	// The monitor's socket is in the guest's own directory. Once the disk is open, nothing needs the key any more.
	if err := g.dropKey(ctx, op, d.ID); err != nil { // of a try that was cut off, or of the start
		return err
	}
	err := g.ask(ctx, op, nil, "object-add", map[string]any{"qom-type": "secret", "id": keyName(d.ID), "data": string(d.Key)}, nil)
	if err == nil {
		err = g.openBlock(ctx, op, d, top)
	}
	return errors.Join(err, g.dropKey(ctx, op, d.ID))
}

// openBlock makes the block node of a disk. That another host does not give it may pass.
func (g *guest) openBlock(ctx context.Context, op string, d hypervisor.Disk, top *node) error {
	err := g.withCluster(ctx, op, d, func() error { return g.ask(ctx, op, nil, "blockdev-add", top, nil) })
	if d.Remote != nil && cloud.Is(err, cloud.Conflict) {
		return cloud.E(op, cloud.Unavailable, "guest %s: the host %s (%s) does not give the disk %s: %s", g.handle.ID, d.Remote.Peer, d.Remote.Address, d.Remote.Name, cloud.Message(err))
	}
	return err
}

// dropKey has QEMU forget a disk's key, if it has it.
func (g *guest) dropKey(ctx context.Context, op, disk string) error {
	return g.dropObject(ctx, op, keyName(disk))
}

// dropObject has QEMU forget an object that was made by an option or command, if it has it.
func (g *guest) dropObject(ctx context.Context, op, name string) error {
	var list []object
	if err := g.ask(ctx, op, nil, "qom-list", map[string]any{"path": "/objects"}, &list); err != nil {
		return err
	}
	for _, o := range list {
		if o.Name == name {
			return g.ask(ctx, op, nil, "object-del", map[string]any{"id": name}, nil)
		}
	}
	return nil
}

// forgetKeys drops the keys that a guest was started with: its disks are open.
func (g *guest) forgetKeys(ctx context.Context, cfg hypervisor.Config) error {
	for _, d := range cfg.Disks {
		if _, cluster := hypervisor.RBDOf(d.Path); cluster {
			if err := g.dropObject(ctx, opStart, cephKeyName(d.ID)); err != nil {
				return err
			}
		}
		if d.Key == "" {
			continue
		}
		if err := g.dropKey(ctx, opStart, d.ID); err != nil {
			return err
		}
	}
	return nil
}

// passFile opens a file and hands it over; the name is the one by which QEMU opens it.
func (g *guest) passFile(ctx context.Context, op, whose, path string, readOnly bool) (name string, err error) {
	f, err := openPath(path, accessOf(readOnly))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", cloud.E(op, cloud.NotFound, "guest %s: %w", g.handle.ID, err)
	case err != nil:
		return "", cloud.E(op, cloud.Internal, "guest %s: %w", g.handle.ID, err)
	}
	defer f.Close()
	var set struct {
		ID int64 `json:"fdset-id"`
	}
	err = g.ask(ctx, op, f, "add-fd", map[string]any{"opaque": whose}, &set)
	return fmt.Sprintf("/dev/fdset/%d", set.ID), err
}

// dropBlock removes a disk's block node, if there is one, and closes its files.
func (g *guest) dropBlock(ctx context.Context, op, disk string) error {
	nodes, err := g.blockNodes(ctx, op)
	if err != nil {
		return err
	}
	name := blockName(disk)
	if _, there := nodes[name]; there {
		if err := g.ask(ctx, op, nil, "blockdev-del", map[string]any{"node-name": name}, nil); err != nil {
			return err
		}
	}
	if err := g.dropObject(ctx, op, identityName(disk)); err != nil {
		return err
	}
	var sets []struct {
		ID  int64 `json:"fdset-id"`
		FDs []struct {
			Opaque string `json:"opaque"`
		} `json:"fds"`
	}
	if err := g.ask(ctx, op, nil, "query-fdsets", nil, &sets); err != nil {
		return err
	}
	for _, s := range sets {
		for _, fd := range s.FDs {
			if fd.Opaque != name {
				continue
			}
			if err := g.ask(ctx, op, nil, "remove-fd", map[string]any{"fdset-id": s.ID}, nil); err != nil {
				return err
			}
			break
		}
	}
	return nil
}

// addDevice plugs a device, on q35 into a port of its own.
func (g *guest) addDevice(ctx context.Context, op string, d device) error {
	arguments := d.arguments()
	if strings.HasSuffix(d.driver(), "-pci") || strings.HasPrefix(d.driver(), "e1000") || d.driver() == "rtl8139" {
		port, err := g.freePort(ctx, op)
		if err != nil {
			return err
		}
		if port != "" {
			arguments["bus"] = port
		}
	}
	return g.ask(ctx, op, nil, "device_add", arguments, nil)
}

// freePort is a spare port that nothing is plugged into; "" on a machine that needs none.
func (g *guest) freePort(ctx context.Context, op string) (string, error) {
	slots, err := g.pci(ctx, op)
	if err != nil {
		return "", err
	}
	any := false
	for _, d := range slots {
		if !strings.HasPrefix(d.ID, sparePort) || d.Bridge == nil {
			continue
		}
		if any = true; len(d.Bridge.Devices) == 0 {
			return d.ID, nil
		}
	}
	if any {
		return "", cloud.E(op, cloud.Conflict, "guest %s: all its %d spare PCI Express ports are taken", g.handle.ID, sparePorts)
	}
	return "", nil
}

// PlugNIC implements hypervisor.Guest.
func (g *guest) PlugNIC(ctx context.Context, n hypervisor.NIC) error {
	const op = "hypervisor.PlugNIC"
	if err := n.Validate(); err != nil {
		return err
	}
	models, err := g.peripherals(ctx, op)
	if err != nil || models[n.ID] != "" {
		return err
	}
	tap, err := duplicate(n.Tap)
	if err != nil {
		return cloud.E(op, cloud.Internal, "guest %s: %w", g.handle.ID, err)
	}
	defer tap.Close()
	if err := g.dropNet(ctx, op, n.ID); err != nil { // of a try that was cut off; its tap may be an old one
		return err
	}
	name := netName(n.ID)
	if err := g.ask(ctx, op, tap, "getfd", map[string]any{"fdname": name}, nil); err != nil {
		return err
	}
	if err := g.ask(ctx, op, nil, "netdev_add", map[string]any{"type": "tap", "id": name, "fd": name}, nil); err != nil {
		_ = g.ask(ctx, op, nil, "closefd", map[string]any{"fdname": name}, nil) // it may have been taken already
		return err
	}
	if err := g.addDevice(ctx, op, nicDevice(n)); err != nil {
		return errors.Join(err, g.dropNet(ctx, op, n.ID))
	}
	return nil
}

// dropNet removes a NIC's back end, if there is one, which closes its tap.
func (g *guest) dropNet(ctx context.Context, op, nic string) error {
	err := g.ask(ctx, op, nil, "netdev_del", map[string]any{"id": netName(nic)}, nil)
	if isClass(err, "DeviceNotFound") {
		return nil
	}
	return err
}

// Unplug implements hypervisor.Guest.
func (g *guest) Unplug(ctx context.Context, id string) (gone bool, err error) {
	const op = "hypervisor.Unplug"
	models, err := g.peripherals(ctx, op)
	if err != nil {
		return false, err
	}
	on, err := g.diskDevices(ctx, op)
	if err != nil {
		return false, err
	}
	name := deviceOf(id, models, on)
	if name != "" && models[name] == "ide-cd" {
		return g.eject(ctx, op, id, name)
	}
	if name != "" {
		err = g.ask(ctx, op, nil, "device_del", map[string]any{"id": name}, nil)
		if cloud.Is(err, cloud.Conflict) && strings.Contains(err.Error(), "already in the process of unplug") {
			err = nil
		}
		if err != nil && !isClass(err, "DeviceNotFound") {
			return false, err
		}
		if models, err = g.peripherals(ctx, op); err != nil {
			return false, err
		}
		if models[name] != "" { // its cable is cut at once: the tap may go, which QEMU must not be left reading from
			return false, g.dropNet(ctx, op, id)
		}
	}
	if err := g.dropNet(ctx, op, id); err != nil {
		return false, err
	}
	err = g.dropBlock(ctx, op, id)
	if cloud.Is(err, cloud.Conflict) && strings.Contains(err.Error(), "is in use") {
		return false, nil // the device is on its way out: a SCSI disk leaves its bus before it lets go of its file
	}
	return err == nil, err
}

// eject takes the disc out of a drive that the guest cannot part with: it is empty until the next start. Nobody asks the
// guest, which may have locked its tray.
func (g *guest) eject(ctx context.Context, op, disk, device string) (gone bool, err error) {
	if err := g.ask(ctx, op, nil, "eject", map[string]any{"id": device, "force": true}, nil); err != nil {
		return false, err
	}
	err = g.dropBlock(ctx, op, disk)
	return err == nil, err
}

// ResizeDisk implements hypervisor.Guest.
func (g *guest) ResizeDisk(ctx context.Context, id string, size int64) error {
	const op = "hypervisor.ResizeDisk"
	nodes, err := g.blockNodes(ctx, op)
	if err != nil {
		return err
	}
	n, there := nodes[blockName(id)]
	switch {
	case !there:
		return cloud.E(op, cloud.NotFound, "guest %s has no disk %s", g.handle.ID, id)
	case n.Image.Size >= size:
		return nil
	}
	resize := func() error {
		return g.ask(ctx, op, nil, "block_resize", map[string]any{"node-name": blockName(id), "size": size}, nil)
	}
	err = resize()
	if cloud.Is(err, cloud.Conflict) && strings.Contains(err.Error(), "NBD") {
		return g.resizeRemote(ctx, op, id, resize)
	}
	return err
}
