package linux

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"hearth/internal/cloud"
)

// takenAlias is the alias of a host's interface in a switch, followed by the
// name it had.
const takenAlias = "hearth uplink "

// hostSpace opens the host's namespace.
func (d *Driver) hostSpace() (*space, error) {
	fd, err := unix.FcntlInt(uintptr(d.host), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return asSpace(netns.NsHandle(fd), nil)
}

// applyUplink makes the way out of a network that is on a physical one.
func (d *Driver) applyUplink(sw *space, spec cloud.NetworkSpec) error {
	if spec.PhysicalNetwork == "" {
		return nil
	}
	up, ok := d.config.Physical[spec.PhysicalNetwork]
	if !ok {
		return cloud.E("network.ApplyNetwork", cloud.Invalid, "this node has no uplink for the physical network %q: name it in the node's configuration", spec.PhysicalNetwork)
	}
	if up.Kind == UplinkNone {
		return nil
	}
	home, err := d.hostSpace()
	if err != nil {
		return err
	}
	defer home.close()
	if up.Kind == UplinkInterface {
		return takeInterface(home, sw, spec.ID, up.HostIfName)
	}
	return d.layHostCable(home, sw, spec, up.HostIfName)
}

// layHostCable makes the veth into the host's namespace, where it has the
// addresses of the subnets' gateways: the host is the network's way out.
func (d *Driver) layHostCable(home, sw *space, spec cloud.NetworkSpec, name string) error {
	near := linkName(prefixUplink, spec.ID)
	alias := "hearth " + d.prefix + " network " + spec.ID
	there, err := home.link(name)
	if err != nil {
		return err
	}
	if there != nil && there.Attrs().Alias != alias && !joined(sw, near, there) {
		return cloud.E("network.ApplyNetwork", cloud.Conflict, "the host already has an interface %s that is not network %s's uplink: remove it or name another in the configuration", name, spec.ID)
	}
	sum := sha256.Sum256([]byte(alias))
	mac := net.HardwareAddr(append([]byte{0x02}, sum[:5]...))
	link, _, err := sw.ensureCable(home, cable{near: near, far: name, mac: mac, mtu: spec.MTU, alias: alias})
	if err != nil {
		return err
	}
	if link.Attrs().Alias != alias {
		if err := home.LinkSetAlias(link, alias); err != nil {
			return err
		}
	}
	var gateways []netip.Prefix
	for _, s := range spec.Subnets {
		if s.Gateway.IsValid() {
			gateways = append(gateways, netip.PrefixFrom(s.Gateway, s.CIDR.Bits()))
		}
	}
	if err := home.LinkSetUp(link); err != nil {
		return err
	}
	_, err = home.setAddresses(link, gateways)
	return err
}

// joined tells whether the host's link is the other end of a cable of ours, of
// which a crash left the alias unwritten.
func joined(sw *space, near string, there netlink.Link) bool {
	link, err := sw.link(near)
	return err == nil && link != nil && there.Type() == "veth" && link.Attrs().ParentIndex == there.Attrs().Index
}

// takeInterface moves an interface of the host into the switch.
func takeInterface(home, sw *space, networkID, name string) error {
	inside := linkName(prefixUplink, networkID)
	link, err := sw.link(inside)
	if err != nil {
		return err
	}
	if link == nil {
		if link, err = sw.link(name); err != nil {
			return err
		}
	}
	if link == nil {
		if link, err = home.link(name); err != nil {
			return err
		}
		if link == nil {
			return cloud.E("network.ApplyNetwork", cloud.NotFound, "the host has no interface %s to be the uplink of network %s", name, networkID)
		}
		if err := home.LinkSetNsFd(link, int(sw.ns)); err != nil {
			return fmt.Errorf("take %s into the switch: %w", name, err)
		}
		if link, err = sw.LinkByName(name); err != nil {
			return err
		}
	}
	bridge, err := sw.LinkByName(bridgeName)
	if err != nil {
		return err
	}
	if link.Attrs().Name != inside {
		err = errors.Join(sw.LinkSetAlias(link, takenAlias+name), sw.LinkSetDown(link), sw.LinkSetName(link, inside))
	}
	return errors.Join(err, sw.LinkSetMaster(link, bridge), sw.LinkSetUp(link))
}

// releaseUplink gives the host its interface back, under its own name.
func (d *Driver) releaseUplink(sw *space) error {
	links, err := sw.LinkList()
	if err != nil {
		return err
	}
	for _, link := range links {
		name, taken := strings.CutPrefix(link.Attrs().Alias, takenAlias)
		if !taken {
			continue
		}
		err := errors.Join(sw.LinkSetNoMaster(link), sw.LinkSetDown(link), sw.LinkSetName(link, name), sw.LinkSetAlias(link, ""), sw.LinkSetNsFd(link, int(d.host)))
		if err != nil {
			return fmt.Errorf("give %s back to the host: %w", name, err)
		}
	}
	return nil
}
