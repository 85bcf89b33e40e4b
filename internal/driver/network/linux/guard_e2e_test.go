package linux

import (
	"context"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hearth/internal/cloud"
)

// drops is how many packets of and to a port were dropped.
func (l *lab) drops(port cloud.PortSpec) uint64 {
	l.t.Helper()
	for networkID := range l.d.states {
		sw, err := open(l.d.nsName(kindSwitch, networkID))
		if err != nil {
			l.t.Fatal(err)
		}
		defer sw.close()
		conn, err := nftConn(sw.ns)
		if err != nil {
			l.t.Fatal(err)
		}
		chains, err := conn.ListChains()
		if err != nil {
			l.t.Fatal(err)
		}
		var total uint64
		for _, c := range chains {
			if c.Name == "from-"+tapName(port.ID) || c.Name == "advertise-"+tapName(port.ID) || c.Name == "send-"+tapName(port.ID) || c.Name == chainNever || c.Name == chainTagged {
				rules, err := conn.GetRules(c.Table, c)
				if err != nil {
					l.t.Fatal(err)
				}
				total += dropped(rules)
			}
		}
		if total > 0 {
			return total
		}
	}
	return 0
}

// send puts a frame on the guest's wire.
func (g *guest) send(frame []byte) {
	g.t.Helper()
	err := g.Do(func() error {
		device, err := net.InterfaceByName(guestDevice)
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: device.Index, Halen: 6})
	})
	if err != nil {
		g.t.Fatal(err)
	}
}

func frame(destination, source net.HardwareAddr, ether uint16, payload []byte) []byte {
	f := append(append(append([]byte{}, destination...), source...), be16(ether)...)
	return append(f, payload...)
}

// ipv4UDP is a datagram without payload, with right header checksum.
func ipv4UDP(source, target netip.Addr, from, to uint16) []byte {
	h := []byte{0x45, 0, 0, 28, 0, 0, 0, 0, 64, protoUDP, 0, 0}
	h = append(append(h, source.AsSlice()...), target.AsSlice()...)
	var sum uint32
	for i := 0; i < len(h); i += 2 {
		sum += uint32(h[i])<<8 | uint32(h[i+1])
	}
	sum = sum&0xffff + sum>>16
	sum = sum&0xffff + sum>>16
	h[10], h[11] = byte(^sum>>8), byte(^sum)
	return append(append(append(h, be16(from)...), be16(to)...), 0, 8, 0, 0)
}

func ipv6(source, target netip.Addr, next byte, payload []byte) []byte {
	h := []byte{0x60, 0, 0, 0, 0, byte(len(payload)), next, 255}
	return append(append(append(h, source.AsSlice()...), target.AsSlice()...), payload...)
}

// TestE2EGuard sends what a port must not send, and counts that it was dropped.
func TestE2EGuard(t *testing.T) {
	l := newLab(t, nil)
	p := newPlan("10.0.0.0/24", "fd00:1::/64")
	a := p.port(11, p.group(egressAll()...))
	l.apply(p)
	g := l.guest(p, a)
	own, err := net.ParseMAC(a.MAC)
	if err != nil {
		t.Fatal(err)
	}
	other := net.HardwareAddr{0xfa, 0x16, 0x3e, 0, 1, 0x63}
	all := net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	nodes, link := netip.MustParseAddr("ff02::1"), linkLocal(own)
	ip4, ip6, stranger4, stranger6 := a.Addresses[0].IP, a.Addresses[1].IP, netip.MustParseAddr("10.0.0.99"), netip.MustParseAddr("fd00:1::99")
	advert := func(target netip.Addr) []byte {
		return append([]byte{icmpNeighbourAdvertisement, 0, 0, 0, 0x20, 0, 0, 0}, target.AsSlice()...)
	}
	for _, c := range []struct {
		name  string
		frame []byte
		drop  bool
	}{
		{"own ARP", arpFrame(own, ip4), false},
		{"ARP for another", arpFrame(own, stranger4), true},
		{"ARP with another's hardware address", frame(all, own, etherARP, arpFrame(other, ip4)[14:]), true},
		{"another's hardware address", frame(all, other, etherIPv4, ipv4UDP(ip4, stranger4, 9, 9)), true},
		{"own IPv4", frame(all, own, etherIPv4, ipv4UDP(ip4, stranger4, 9, 9)), false},
		{"another's IPv4", frame(all, own, etherIPv4, ipv4UDP(stranger4, ip4, 9, 9)), true},
		{"DHCP request", frame(all, own, etherIPv4, ipv4UDP(netip.IPv4Unspecified(), broadcast4, 68, 67)), false},
		{"no address", frame(all, own, etherIPv4, ipv4UDP(netip.IPv4Unspecified(), broadcast4, 9, 9)), true},
		{"DHCP answer", frame(all, own, etherIPv4, ipv4UDP(ip4, broadcast4, 67, 68)), true},
		{"own neighbour advertisement", frame(all, own, etherIPv6, ipv6(ip6, nodes, protoICMPv6, advert(ip6))), false},
		{"neighbour advertisement for another", frame(all, own, etherIPv6, ipv6(ip6, nodes, protoICMPv6, advert(stranger6))), true},
		{"neighbour advertisement from another", frame(all, own, etherIPv6, ipv6(stranger6, nodes, protoICMPv6, advert(ip6))), true},
		{"another's IPv6", frame(all, own, etherIPv6, ipv6(stranger6, nodes, protoUDP, []byte{0, 9, 0, 9, 0, 8, 0, 0})), true},
		{"router advertisement", frame(all, own, etherIPv6, ipv6(link, nodes, protoICMPv6, make16(icmpRouterAdvertisement))), true},
		{"redirect", frame(all, own, etherIPv6, ipv6(link, nodes, protoICMPv6, make16(icmpRedirect))), true},
		{"DHCPv6 answer", frame(all, own, etherIPv6, ipv6(link, nodes, protoUDP, []byte{2, 35, 2, 34, 0, 8, 0, 0})), true},
		{"VLAN tag", frame(all, own, 0x8100, append([]byte{0, 5, 8, 0}, ipv4UDP(ip4, stranger4, 9, 9)...)), true},
		{"other protocol", frame(all, own, 0x88cc, make([]byte, 46)), true},
	} {
		before := l.drops(a)
		g.send(c.frame)
		if got := l.drops(a) > before; got != c.drop {
			t.Errorf("%s: dropped %t", c.name, got)
		}
	}
}

func make16(kind byte) []byte { return append([]byte{kind}, make([]byte, 15)...) }

// TestE2EFlows: an update keeps the connections that are allowed still, and
// ends those that are not.
func TestE2EFlows(t *testing.T) {
	l := newLab(t, nil)
	p := newPlan("10.0.0.0/24")
	web := p.group(append(egressAll(), ingress("IPv4", "tcp", 22), ingress("IPv4", "tcp", 80))...)
	a, b := p.port(11, p.group(egressAll()...)), p.port(12, web)
	l.apply(p)
	ga, gb := l.guest(p, a), l.guest(p, b)
	gb.echo(":22")
	gb.echo(":80")
	kept, cut := ga.dial(ip(b)+":22", soon), ga.dial(ip(b)+":80", soon)
	if kept == nil || cut == nil {
		t.Fatal("no connection")
	}
	defer kept.Close()
	defer cut.Close()
	speaks(t, kept, true)
	speaks(t, cut, true)
	p.port(13, web) // another port comes: nothing changes for these
	l.apply(p)
	speaks(t, kept, true)
	speaks(t, cut, true)
	p.Groups[0].Rules = append(egressAll(), ingress("IPv4", "tcp", 22))
	l.apply(p)
	speaks(t, kept, true)
	speaks(t, cut, false)
}

// echo answers on TCP with what it gets.
func (g *guest) echo(address string) {
	g.t.Helper()
	var listener net.Listener
	if err := g.Do(func() (err error) { listener, err = net.Listen("tcp", address); return err }); err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
}

func speaks(t *testing.T, conn net.Conn, want bool) {
	t.Helper()
	patience := soon
	if !want {
		patience = grim
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, err := conn.Write([]byte("x"))
	if err == nil {
		_, err = io.ReadFull(conn, make([]byte, 1))
	}
	if (err == nil) != want {
		t.Errorf("the connection lives: %t (%v)", err == nil, err)
	}
}

func TestE2EStateless(t *testing.T) {
	l := newLab(t, nil)
	p := newPlan("10.0.0.0/24")
	open := p.group(append(egressAll(), ingress("IPv4", "tcp", 22))...)
	a, b := p.port(11, open), p.port(12, open)
	l.apply(p)
	ga, gb := l.guest(p, a), l.guest(p, b)
	gb.serve(":22")
	ga.mustSee(ip(b)+":22", ip(a))
	p.Ports[0].Stateless = true // a's answers come to ports that nothing opens
	l.apply(p)
	ga.mustNotReach(ip(b) + ":22")
}

func TestE2EPeers(t *testing.T) {
	l := newLab(t, nil)
	p := newPlan("10.0.0.0/24")
	p.Peers = []netip.Addr{netip.MustParseAddr("192.0.2.1")}
	if err := l.d.ApplyNetwork(context.Background(), p.NetworkSpec); !cloud.Is(err, cloud.Unsupported) {
		t.Errorf("a network across nodes: %v", err)
	}
}
