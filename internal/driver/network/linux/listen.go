package linux

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"hearth/internal/cloud"
)

// place is where a socket may be opened: a namespace, and the interface that
// faces the guests there.
type place struct{ namespace, device string }

// parsePlace reads "service:NETWORK", "router:ROUTER" or "router:ROUTER/PORT".
func (d *Driver) parsePlace(text string) (place, error) {
	const op = "network.Listen"
	kind, id, _ := strings.Cut(text, ":")
	switch kind {
	case "service":
		return place{d.nsName(kindService, id), serviceDevice}, checkID(op, "network", id)
	case "router":
		id, port, one := strings.Cut(id, "/")
		p := place{namespace: d.nsName(kindRouter, id)}
		if one {
			if err := checkID(op, "port", port); err != nil {
				return p, err
			}
			p.device = linkName(prefixInner, port)
		}
		return p, checkID(op, "router", id)
	}
	return place{}, cloud.E(op, cloud.Invalid, "%q is no place to listen at: use service:NETWORK, router:ROUTER or router:ROUTER/PORT", text)
}

// GuestDevice implements network.Driver.
func (d *Driver) GuestDevice(text string) string {
	p, err := d.parsePlace(text)
	if err != nil {
		return ""
	}
	return p.device
}

// ListenPacket implements network.Driver.
func (d *Driver) ListenPacket(ctx context.Context, text, network, address string) (net.PacketConn, error) {
	var conn net.PacketConn
	err := d.listen(text, address, func(config *net.ListenConfig, address string) (err error) {
		conn, err = config.ListenPacket(ctx, network, address)
		return err
	})
	return conn, err
}

// Listen implements network.Driver.
func (d *Driver) Listen(ctx context.Context, text, network, address string) (net.Listener, error) {
	var listener net.Listener
	err := d.listen(text, address, func(config *net.ListenConfig, address string) (err error) {
		listener, err = config.Listen(ctx, network, address)
		return err
	})
	return listener, err
}

func (d *Driver) listen(text, address string, do func(*net.ListenConfig, string) error) error {
	const op = "network.Listen"
	p, err := d.parsePlace(text)
	if err != nil {
		return err
	}
	ns, err := openNamespace(p.namespace)
	if errors.Is(err, os.ErrNotExist) {
		return cloud.E(op, cloud.NotFound, "%s is not built on this node: apply it first", text)
	}
	if err != nil {
		return wrap(op, err, "%s", text)
	}
	defer ns.Close()
	group, bind := multicast(address)
	err = inNamespace(ns, func() error {
		index := 0
		if p.device != "" {
			device, err := net.InterfaceByName(p.device)
			if err != nil {
				return fmt.Errorf("interface %s: %w", p.device, err)
			}
			index = device.Index
		}
		config := &net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
			var failed error
			err := raw.Control(func(fd uintptr) { failed = prepare(int(fd), p.device, index, group) })
			return errors.Join(err, failed)
		}}
		return do(config, bind)
	})
	if err != nil {
		return wrap(op, err, "listen on %s at %s", address, text)
	}
	return nil
}

// multicast splits an address of a multicast group into the group and the
// address to bind to.
func multicast(address string) (group netip.Addr, bind string) {
	if addr, err := netip.ParseAddr(address); err == nil && addr.IsMulticast() {
		return addr, "::"
	}
	if ap, err := netip.ParseAddrPort(address); err == nil && ap.Addr().IsMulticast() {
		return ap.Addr(), fmt.Sprintf("[::]:%d", ap.Port())
	}
	return netip.Addr{}, address
}

// prepare binds a socket to the interface and joins the group there.
func prepare(fd int, device string, index int, group netip.Addr) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1) // streams have none
	if device == "" {
		return nil
	}
	if err := unix.BindToDevice(fd, device); err != nil {
		return err
	}
	if group.Is6() {
		return unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, &unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(index)})
	}
	return nil
}
