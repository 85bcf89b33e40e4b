package linux

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/vishvananda/netlink"

	"hearth/internal/cloud"
)

// A trunk's sub-port is a cable between two switches: on its own network's it has the
// name of a tap, and so the filters, limits and leases of any port; on the switch of
// the trunk's parent port its other end stands beside the bridge. Two packet programs
// join it to the parent's tap: one takes tags off, one puts them on. The kernel's
// VLAN devices and VLAN-aware bridges are not needed.

// subPortAlias begins the alias of a sub-port's end on its own switch; it is not
// portAlias, because no guest holds it open.
const subPortAlias = "hearth sub-port "

func trunkName(portID string) string { return linkName(prefixTrunk, portID) }

// wireTrunks makes the cables and programs of the trunks whose parent ports are on a
// network, and of those that have sub-ports on it.
func (d *Driver) wireTrunks(sw *space, spec cloud.NetworkSpec) error {
	if err := d.wireParents(sw, spec); err != nil {
		return err
	}
	for _, parent := range d.parentsOf(spec.ID) {
		if err := d.wireFrom(parent); err != nil {
			return err
		}
	}
	return nil
}

// parentsOf lists the other applied networks with trunks that reach into one.
func (d *Driver) parentsOf(networkID string) []cloud.NetworkSpec {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []cloud.NetworkSpec
	for id, state := range d.states {
		if id != networkID && reaches(state.spec, networkID) {
			list = append(list, state.spec)
		}
	}
	return list
}

func reaches(spec cloud.NetworkSpec, networkID string) bool {
	for _, p := range spec.Ports {
		for _, sub := range p.SubPorts {
			if sub.NetworkID == networkID {
				return true
			}
		}
	}
	return false
}

func (d *Driver) wireFrom(spec cloud.NetworkSpec) error {
	sw, err := open(d.nsName(kindSwitch, spec.ID))
	if errors.Is(err, os.ErrNotExist) {
		return nil // it went meanwhile, and its cables with it
	}
	if err != nil {
		return err
	}
	defer sw.close()
	return d.wireParents(sw, spec)
}

// wireParents does it for the parent ports of a network, and removes the cables that
// no trunk has any more.
func (d *Driver) wireParents(sw *space, spec cloud.NetworkSpec) error {
	d.trunks.Lock()
	defer d.trunks.Unlock()
	byName, stale, err := sw.trunkLinks(spec)
	if err != nil {
		return err
	}
	for _, p := range spec.Ports {
		tap := byName[tapName(p.ID)]
		if len(p.SubPorts) == 0 {
			if tap != nil && len(stale) > 0 {
				err = sw.dropEntryFilters(tap, orderSteer)
			}
		} else {
			err = d.wire(sw, tap, p)
		}
		if err != nil {
			return fmt.Errorf("trunk of port %s: %w", p.ID, err)
		}
	}
	for _, name := range stale {
		if err := sw.deleteLink(name); err != nil {
			return err
		}
	}
	return nil
}

// trunkLinks gives a switch's links, and the names of the cables that the spec does
// not want.
func (s *space) trunkLinks(spec cloud.NetworkSpec) (byName map[string]netlink.Link, stale []string, err error) {
	wanted := map[string]bool{}
	for _, p := range spec.Ports {
		for _, sub := range p.SubPorts {
			wanted[trunkName(sub.PortID)] = true
		}
	}
	links, err := s.LinkList()
	if err != nil {
		return nil, nil, err
	}
	byName = map[string]netlink.Link{}
	for _, l := range links {
		name := l.Attrs().Name
		byName[name] = l
		if named(name, prefixTrunk) && !wanted[name] {
			stale = append(stale, name)
		}
	}
	return byName, stale, nil
}

// wireTrunk joins the tap of a parent port, which was made just now, to its sub-ports.
func (d *Driver) wireTrunk(sw *space, spec cloud.NetworkSpec, portID string) error {
	for _, p := range spec.Ports {
		if p.ID != portID || len(p.SubPorts) == 0 {
			continue
		}
		d.trunks.Lock()
		defer d.trunks.Unlock()
		tap, err := sw.LinkByName(tapName(portID))
		if err != nil {
			return err
		}
		return d.wire(sw, tap, p)
	}
	return nil
}

// wire lays the cables of a parent port's sub-ports and loads the programs; tap is
// nil while there is no guest.
func (d *Driver) wire(sw *space, tap netlink.Link, p cloud.PortSpec) error {
	devices := map[int]int{}
	for _, sub := range p.SubPorts {
		end, err := d.laySubPort(sw, sub)
		if err != nil {
			return err
		}
		if end == nil || tap == nil {
			continue
		}
		devices[sub.VLAN] = end.Attrs().Index
		if err := sw.steer(end, "hearth_tag", tagger(sub.VLAN, tap.Attrs().Index)); err != nil {
			return err
		}
	}
	if tap == nil {
		return nil
	}
	return sw.steer(tap, "hearth_split", splitter(devices))
}

// laySubPort lays the cable of a sub-port and gives its end on the parent's switch; nil
// while the sub-port's network is not built on this node.
func (d *Driver) laySubPort(sw *space, sub cloud.SubPortSpec) (netlink.Link, error) {
	own, err := open(d.nsName(kindSwitch, sub.NetworkID))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer own.close()
	sum := sha256.Sum256([]byte(sub.PortID))
	c := cable{
		near: tapName(sub.PortID), far: trunkName(sub.PortID), alias: subPortAlias + sub.PortID, mtu: sub.MTU,
		mac: net.HardwareAddr(append([]byte{0x02}, sum[:5]...)),
	}
	if c.mtu == 0 {
		c.mtu = defaultMTU
	}
	if err := own.deleteTap(c.near); err != nil {
		return nil, err
	}
	end, _, err := own.ensureCable(sw, c)
	if err != nil {
		return nil, err
	}
	return end, sw.LinkSetUp(end)
}

// deleteTap removes a guest's tap from under the name that a cable is to have: the
// port was a guest's own before it became a sub-port.
func (s *space) deleteTap(name string) error {
	link, err := s.link(name)
	if err != nil || link == nil || link.Type() == "veth" {
		return err
	}
	return s.deleteLink(name)
}
