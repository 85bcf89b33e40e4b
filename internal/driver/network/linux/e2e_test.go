package linux

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hearth/internal/cloud"
)

// lab is a driver on the real kernel with guests that are namespaces.
type lab struct {
	t *testing.T
	d *Driver
}

func newLab(t *testing.T, physical map[string]Uplink) *lab {
	t.Helper()
	if os.Getenv("HEARTH_E2E") != "1" {
		t.Skip("needs root and the kernel: set HEARTH_E2E=1")
	}
	d, err := New(Config{Node: fmt.Sprintf("t%d", time.Now().UnixNano()%1e9), Physical: physical})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Down(context.Background()); err != nil {
			t.Error(err)
		}
		left, err := namespaces(d.prefix)
		if err != nil || len(left) != 0 {
			t.Errorf("left over: %v %v", left, err)
		}
		_ = d.Close()
	})
	return &lab{t, d}
}

// guest is a namespace that poses as a guest.
type guest struct {
	t *testing.T
	*Guest
}

func (l *lab) namespace() *guest {
	l.t.Helper()
	g, err := NewGuest()
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = g.Close() })
	return &guest{l.t, g}
}

// setUp gives the guest its addresses and its ways out.
func (g *guest) setUp(addresses []netip.Prefix, gateways ...netip.Addr) *guest {
	g.t.Helper()
	if err := g.SetUp(addresses, gateways...); err != nil {
		g.t.Fatal(err)
	}
	return g
}

// serve answers TCP connections with the address that the guest saw.
func (g *guest) serve(address string) {
	g.t.Helper()
	g.accept(address, func(c net.Conn) {
		host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
		_, _ = c.Write([]byte(host))
	})
}

// accept takes TCP connections one after the other, until the test ends.
func (g *guest) accept(address string, talk func(c net.Conn)) {
	g.t.Helper()
	var l net.Listener
	err := g.Do(func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	})
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			talk(c)
			_ = c.Close()
		}
	}()
}

// ask connects and gives the address that the server saw; "" when nothing came.
func (g *guest) ask(address string, patience time.Duration) string {
	g.t.Helper()
	conn := g.dial(address, patience)
	if conn == nil {
		return ""
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	buf := make([]byte, 64)
	n, _ := conn.Read(buf)
	return string(buf[:n])
}

func (g *guest) dial(address string, patience time.Duration) net.Conn {
	var conn net.Conn
	_ = g.Do(func() (err error) {
		fd, err := connect(address, patience)
		if err != nil {
			return err
		}
		file := os.NewFile(uintptr(fd), address)
		defer file.Close()
		conn, err = net.FileConn(file)
		return err
	})
	return conn
}

// connect is a plain connect(2): net.Dial may leave the thread.
func connect(address string, patience time.Duration) (int, error) {
	ap := netip.MustParseAddrPort(address)
	family := unix.AF_INET
	var to unix.Sockaddr = &unix.SockaddrInet4{Port: int(ap.Port()), Addr: as4(ap.Addr())}
	if ap.Addr().Is6() {
		family = unix.AF_INET6
		to = &unix.SockaddrInet6{Port: int(ap.Port()), Addr: ap.Addr().As16()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	tv := unix.NsecToTimeval(int64(patience))
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &tv)
	if err := unix.Connect(fd, to); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func as4(a netip.Addr) [4]byte {
	if a.Is4() {
		return a.As4()
	}
	return [4]byte{}
}

const (
	soon = time.Minute            // for what must come
	grim = 300 * time.Millisecond // for what must not
)

func (g *guest) mustSee(address, want string) {
	g.t.Helper()
	if got := g.ask(address, soon); got != want {
		g.t.Errorf("%s answered %q, want to be seen as %q", address, got, want)
	}
}

func (g *guest) mustNotReach(address string) {
	g.t.Helper()
	if got := g.ask(address, grim); got != "" {
		g.t.Errorf("%s was reached (as %s)", address, got)
	}
}

// plan builds specs.
type plan struct{ cloud.NetworkSpec }

func newPlan(cidrs ...string) *plan {
	p := &plan{cloud.NetworkSpec{ID: cloud.NewID(), Type: cloud.NetworkLocal, MTU: 1450, Generation: 1}}
	p.DHCP = &cloud.ServicePort{PortID: cloud.NewID(), MAC: "fa:16:3e:00:00:02"}
	for _, text := range cidrs {
		cidr := netip.MustParsePrefix(text)
		first := cidr.Addr().Next()
		p.Subnets = append(p.Subnets, cloud.SubnetSpec{ID: cloud.NewID(), CIDR: cidr, Gateway: first, DHCP: true})
		p.DHCP.Addresses = append(p.DHCP.Addresses, netip.PrefixFrom(first.Next(), cidr.Bits()))
	}
	return p
}

func (p *plan) port(n byte, groups ...string) cloud.PortSpec {
	port := cloud.PortSpec{ID: cloud.NewID(), InstanceID: cloud.NewID(), MAC: fmt.Sprintf("fa:16:3e:00:01:%02x", n), AdminUp: true, Security: true, Groups: groups, Hostname: fmt.Sprintf("vm%d", n)}
	for _, s := range p.Subnets {
		raw := s.CIDR.Addr().AsSlice()
		raw[len(raw)-1] = n
		addr, _ := netip.AddrFromSlice(raw)
		port.Addresses = append(port.Addresses, cloud.FixedIP{SubnetID: s.ID, IP: addr})
	}
	p.Ports = append(p.Ports, port)
	return port
}

func (p *plan) group(rules ...cloud.SecurityRule) string {
	id := cloud.NewID()
	p.Groups = append(p.Groups, cloud.GroupSpec{ID: id, Rules: rules})
	return id
}

func egressAll() []cloud.SecurityRule {
	return []cloud.SecurityRule{{Direction: "egress", Ethertype: "IPv4", PortMin: -1, PortMax: -1}, {Direction: "egress", Ethertype: "IPv6", PortMin: -1, PortMax: -1}}
}

func ingress(ether, proto string, port int) cloud.SecurityRule {
	return cloud.SecurityRule{Direction: "ingress", Ethertype: ether, Protocol: proto, PortMin: port, PortMax: port}
}

func (l *lab) apply(p *plan) {
	l.t.Helper()
	start := time.Now()
	if err := l.d.ApplyNetwork(context.Background(), p.NetworkSpec); err != nil {
		l.t.Fatal(err)
	}
	l.t.Logf("ApplyNetwork with %d ports: %v", len(p.Ports), time.Since(start).Round(time.Microsecond))
}

func (l *lab) guest(p *plan, port cloud.PortSpec) *guest {
	l.t.Helper()
	g := l.namespace()
	if err := l.d.AttachGuest(context.Background(), p.ID, port.ID, g.Guest); err != nil {
		l.t.Fatal(err)
	}
	var addresses []netip.Prefix
	var gateways []netip.Addr
	for i, a := range port.Addresses {
		addresses = append(addresses, netip.PrefixFrom(a.IP, p.Subnets[i].CIDR.Bits()))
		gateways = append(gateways, p.Subnets[i].Gateway)
	}
	return g.setUp(addresses, gateways...)
}

func ip(port cloud.PortSpec) string { return port.Addresses[0].IP.String() }
