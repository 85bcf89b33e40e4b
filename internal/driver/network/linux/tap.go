package linux

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"hearth/internal/cloud"
)

// Plug implements network.Driver. The tap has virtio-net headers, so that the
// hypervisor can hand over large packets whole. Conflict when another process
// holds it.
func (d *Driver) Plug(ctx context.Context, networkID, portID string) (*os.File, error) {
	const op = "network.Plug"
	unlock, err := d.locks.lock(ctx, networkID)
	if err != nil {
		return nil, err
	}
	defer unlock()
	spec, err := d.appliedPort(op, networkID, portID)
	if err != nil {
		return nil, err
	}
	sw, err := open(d.nsName(kindSwitch, networkID))
	if err != nil {
		return nil, cloud.E(op, cloud.NotFound, "network %s is not built on this node: apply it first (%w)", networkID, err)
	}
	defer sw.close()
	name := tapName(portID)
	var file *os.File
	err = inNamespace(sw.ns, func() (err error) {
		file, err = openTap(name)
		return err
	})
	if errors.Is(err, unix.EBUSY) {
		return nil, cloud.E(op, cloud.Conflict, "the tap %s of port %s is held by a running guest: stop it first (%w)", name, portID, err)
	}
	if err != nil {
		return nil, cloud.E(op, cloud.Internal, "tap %s of port %s: %w", name, portID, err)
	}
	if err := errors.Join(sw.connectTap(name, portID, spec.MTU), sw.applyLimits(spec)); err != nil {
		_ = file.Close()
		return nil, cloud.E(op, cloud.Internal, "tap %s of port %s: %w", name, portID, err)
	}
	if err := d.wireTrunk(sw, spec, portID); err != nil {
		_ = file.Close()
		return nil, wrap(op, err, "tap %s of port %s", name, portID)
	}
	return file, nil
}

// appliedPort gives the applied spec of a network that has the port.
func (d *Driver) appliedPort(op, networkID, portID string) (cloud.NetworkSpec, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	state := d.states[networkID]
	if state == nil || state.spec.ID == "" {
		return cloud.NetworkSpec{}, cloud.E(op, cloud.NotFound, "network %s is not known on this node: apply it first", networkID)
	}
	for _, p := range state.spec.Ports {
		if p.ID == portID {
			return state.spec, nil
		}
	}
	return cloud.NetworkSpec{}, cloud.E(op, cloud.NotFound, "network %s has no port %s on this node: apply the network with it first", networkID, portID)
}

// openTap opens a tap in the calling thread's namespace, and makes it when it
// is not there. It goes away when its last holder closes it.
func openTap(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq(name)
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

func (s *space) connectTap(name, portID string, mtu int) error {
	link, err := s.LinkByName(name)
	if err != nil {
		return err
	}
	bridge, err := s.LinkByName(bridgeName)
	if err != nil {
		return err
	}
	return errors.Join(s.LinkSetAlias(link, portAlias+portID), s.LinkSetMTU(link, mtu), s.LinkSetMaster(link, bridge), s.LinkSetUp(link))
}

// portAlias begins the alias of a link that is an instance's port.
const portAlias = "hearth port "

// Unplug implements network.Driver: it takes the tap away, from a running
// guest too.
func (d *Driver) Unplug(ctx context.Context, networkID, portID string) error {
	const op = "network.Unplug"
	unlock, err := d.locks.lock(ctx, networkID)
	if err != nil {
		return err
	}
	defer unlock()
	sw, err := open(d.nsName(kindSwitch, networkID))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return wrap(op, err, "port %s", portID)
	}
	defer sw.close()
	if err := sw.deleteLink(tapName(portID)); err != nil {
		return wrap(op, err, "port %s", portID)
	}
	return nil
}

// taps lists the ports that have a link on a switch.
func (s *space) taps() ([]string, []netlink.Link, error) {
	links, err := s.LinkList()
	if err != nil {
		return nil, nil, err
	}
	var ids []string
	var found []netlink.Link
	for _, link := range links {
		name, alias := link.Attrs().Name, link.Attrs().Alias
		if named(name, prefixTap) && strings.HasPrefix(alias, portAlias) {
			ids, found = append(ids, alias[len(portAlias):]), append(found, link)
		}
	}
	return ids, found, nil
}
