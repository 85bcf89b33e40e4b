package linux

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// announce tells the neighbours of each interface of its new IPv4 addresses, so
// that one that moved here is found at once. A loss is logged: neighbours would
// find out later by themselves. The kernel does the same for IPv6
// (ndisc_notify).
func (d *Driver) announce(rt *space, added map[string][]netip.Prefix) {
	for name, prefixes := range added {
		var list []netip.Addr
		for _, p := range prefixes {
			if p.Addr().Is4() {
				list = append(list, p.Addr())
			}
		}
		if len(list) == 0 {
			continue
		}
		if err := inNamespace(rt.ns, func() error { return gratuitousARP(name, list) }); err != nil {
			d.log.Warn("addresses could not be announced", "interface", name, "error", err)
		}
	}
}

// gratuitousARP broadcasts an ARP request for each address by its own holder
// (RFC 5944, 4.6), from the calling thread's namespace.
func gratuitousARP(name string, addresses []netip.Addr) error {
	device, err := net.InterfaceByName(name)
	if err != nil {
		return err
	}
	protocol := binary.NativeEndian.Uint16(be16(etherARP))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("packet socket: %w", err)
	}
	defer unix.Close(fd)
	to := &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: device.Index, Halen: 6, Addr: [8]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}
	for _, addr := range addresses {
		if err := unix.Sendto(fd, arpFrame(device.HardwareAddr, addr), 0, to); err != nil {
			return fmt.Errorf("announce %s: %w", addr, err)
		}
	}
	return nil
}

// arpFrame is an Ethernet frame with an ARP request (RFC 826) of 42 bytes.
func arpFrame(mac net.HardwareAddr, addr netip.Addr) []byte {
	frame := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	frame = append(frame, mac...)
	frame = binary.BigEndian.AppendUint16(frame, etherARP)
	frame = append(frame, 0, 1, 8, 0, 6, 4, 0, 1) // Ethernet, IPv4, sizes, request
	frame = append(frame, mac...)
	frame = append(frame, addr.AsSlice()...)
	frame = append(frame, 0, 0, 0, 0, 0, 0)
	return append(frame, addr.AsSlice()...)
}
