package linux

import (
	"crypto/sha256"
	"encoding/hex"
	"net"
	"strings"

	"hearth/internal/cloud"
)

// maxLinkName is IFNAMSIZ less its closing zero.
const maxLinkName = 15

// The kinds of namespace, as they stand in its name.
const (
	kindSwitch  = "n"
	kindService = "s"
	kindRouter  = "r"
)

// The names of links. Those with a dash are followed by twelve digits of an id.
const (
	bridgeName    = "br0"
	serviceDevice = "net0"
	prefixTap     = "tap"
	prefixRouter  = "rp-" // a router's port, on the switch
	prefixService = "sv-" // the service port, on the switch
	prefixUplink  = "up-" // the way out of a physical network, on the switch
	prefixInner   = "qr-" // a router's interface, in the router
	prefixTrunk   = "tk-" // a sub-port's cable, on the switch of its trunk's parent port
	prefixGateway = "qg-" // a router's gateway, in the router
)

func (d *Driver) nsName(kind, id string) string { return d.prefix + kind + "-" + strings.ToLower(id) }

// linkName names a link after an id: twelve of its hexadecimal digits, which is
// 48 random bits of a UUID.
func linkName(prefix, id string) string {
	digits := strings.ToLower(strings.ReplaceAll(id, "-", ""))
	if len(digits) != 32 {
		sum := sha256.Sum256([]byte(id))
		digits = hex.EncodeToString(sum[:])
	}
	return prefix + digits[:12]
}

// tapName is the name of a port's tap on the switch.
func tapName(portID string) string { return linkName(prefixTap, portID) }

// peerMAC is the address of the switch's end of a veth: the other end's with
// the first byte changed, as libvirt does for taps, so that it is its own.
func peerMAC(mac net.HardwareAddr) net.HardwareAddr {
	peer := append(net.HardwareAddr(nil), mac...)
	peer[0] = 0xfe
	return peer
}

func checkID(op, what, id string) error {
	if !cloud.IsID(id) {
		return cloud.E(op, cloud.Invalid, "%q is no id of a %s: it must be a UUID", id, what)
	}
	return nil
}

func parseMAC(op, what, mac string) (net.HardwareAddr, error) {
	hw, err := net.ParseMAC(mac)
	if err != nil || len(hw) != 6 || hw[0]&1 != 0 {
		return nil, cloud.E(op, cloud.Invalid, "%s has the hardware address %q, which is no unicast Ethernet address", what, mac)
	}
	return hw, nil
}
