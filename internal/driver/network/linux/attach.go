package linux

import (
	"context"
	"errors"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"hearth/internal/cloud"
)

// AttachGuest gives a namespace the place of a port's guest: a veth in place of
// the tap, under its name and so behind its filters. Tests and benchmarks do
// without a hypervisor by it.
func (d *Driver) AttachGuest(ctx context.Context, networkID, portID string, guest netns.NsHandle, device string) error {
	const op = "network.AttachGuest"
	spec, err := d.appliedPort(op, networkID, portID)
	if err != nil {
		return err
	}
	for _, p := range spec.Ports {
		if p.ID == portID {
			return d.attach(op, networkID, tapName(portID), portAlias+portID, p.MAC, spec.MTU, guest, device)
		}
	}
	return nil
}

// AttachOutside connects a namespace to the bridge of a physical network, as
// its uplink would be.
func (d *Driver) AttachOutside(ctx context.Context, networkID string, outside netns.NsHandle, device, mac string) error {
	return d.attach("network.AttachOutside", networkID, linkName(prefixUplink, mac), "hearth outside", mac, defaultMTU, outside, device)
}

func (d *Driver) attach(op, networkID, near, alias, mac string, mtu int, guest netns.NsHandle, device string) error {
	hw, err := parseMAC(op, "the guest", mac)
	if err != nil {
		return err
	}
	sw, err := open(d.nsName(kindSwitch, networkID))
	if err != nil {
		return wrap(op, err, "network %s", networkID)
	}
	defer sw.close()
	bridge, err := sw.LinkByName(bridgeName)
	if err != nil {
		return wrap(op, err, "network %s", networkID)
	}
	attrs := netlink.LinkAttrs{Name: near, MTU: mtu, MasterIndex: bridge.Attrs().Index, HardwareAddr: peerMAC(hw)}
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: device, PeerHardwareAddr: hw, PeerNamespace: netlink.NsFd(guest), PeerMTU: uint32(mtu)}
	if err := sw.LinkAdd(veth); err != nil {
		return wrap(op, err, "attach %s", near)
	}
	link, err := sw.LinkByName(near)
	if err == nil {
		err = errors.Join(sw.LinkSetAlias(link, alias), sw.LinkSetUp(link))
	}
	if err != nil {
		return cloud.E(op, cloud.Internal, "attach %s: %w", near, err)
	}
	return nil
}
