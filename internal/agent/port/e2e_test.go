package port

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"hearth/internal/agent/dhcp"
	"hearth/internal/cloud"
	"hearth/internal/driver/network/linux"
)

// TestE2EGuest takes a guest through its boot: DHCP, metadata at once, names,
// metadata by the router, IPv6 by router advertisement.
func TestE2EGuest(t *testing.T) {
	if os.Getenv("HEARTH_E2E") != "1" {
		t.Skip("needs root and the kernel: set HEARTH_E2E=1")
	}
	ctx := context.Background()
	driver, err := linux.New(linux.Config{Node: fmt.Sprintf("p%d", time.Now().UnixNano()%1e9)})
	ok(t, err)
	defer driver.Close()
	defer func() { ok(t, driver.Down(ctx)) }()
	spec, r, instance := bootExample()
	find := func(id string) (cloud.InstanceSpec, bool) { return instance, id == instance.ID }
	dir := t.TempDir()
	options := Options{DHCP: dhcp.Options{Marker: 239, MarkerValue: "cluster-1"}}
	m, err := New(dir, driver, find, options)
	ok(t, err)
	start := time.Now()
	ok(t, m.ApplyNetwork(ctx, spec))
	t.Logf("ApplyNetwork: %v", time.Since(start).Round(time.Microsecond))
	start = time.Now()
	ok(t, m.ApplyRouter(ctx, r))
	t.Logf("ApplyRouter: %v", time.Since(start).Round(time.Microsecond))
	g, err := linux.NewGuest()
	ok(t, err)
	defer g.Close()
	ok(t, driver.AttachGuest(ctx, spec.ID, spec.Ports[0].ID, g))
	ok(t, g.SetUp(nil))

	boot(t, g)
	autoconfigured(t, g)
	own := []netip.Prefix{netip.MustParsePrefix("10.0.0.11/24"), netip.MustParsePrefix("2001:db8:1:0:f816:3eff:fe00:b/64")}
	ok(t, g.SetUp(own, netip.MustParseAddr("10.0.0.1")))
	for _, step := range []struct{ name, address string }{{"first request", web}, {"second request", web}} {
		start := time.Now()
		if got := fetch(t, g, step.address, "/openstack/latest/meta_data.json"); !strings.Contains(got, instance.ID) {
			t.Errorf("metadata: %s", got)
		}
		t.Logf("metadata, %s: %v", step.name, time.Since(start).Round(time.Microsecond))
	}
	if got := resolve(t, g, "10.0.0.2:53", "vm1."); got != "10.0.0.11" {
		t.Errorf("vm1 is %q", got)
	}
	if got := fetch(t, g, "[fd00:ec2::254]:80", "/latest/meta-data/hostname"); !strings.HasSuffix(got, "vm1") {
		t.Errorf("metadata over IPv6: %s", got)
	}

	// The agent restarts; the guest goes on with what it has.
	ok(t, m.Close())
	m, err = New(dir, driver, find, options)
	ok(t, err)
	defer m.Close()
	start = time.Now()
	ok(t, m.Recover(ctx))
	t.Logf("Recover: %v", time.Since(start).Round(time.Microsecond))
	boot(t, g)

	// Without a service port metadata is reached by the router alone.
	spec.DHCP = nil
	ok(t, m.ApplyNetwork(ctx, spec))
	ok(t, g.SetUp(own, netip.MustParseAddr("10.0.0.1")))
	if got := fetch(t, g, web, "/latest/meta-data/hostname"); !strings.HasSuffix(got, "vm1") {
		t.Errorf("metadata by the router: %s", got)
	}
}

func bootExample() (cloud.NetworkSpec, cloud.RouterSpec, cloud.InstanceSpec) {
	instance := cloud.InstanceSpec{ID: cloud.NewID(), Name: "vm1", Hostname: "vm1"}
	four := cloud.SubnetSpec{ID: cloud.NewID(), CIDR: netip.MustParsePrefix("10.0.0.0/24"), Gateway: netip.MustParseAddr("10.0.0.1"), DHCP: true, Routed: true}
	six := cloud.SubnetSpec{ID: cloud.NewID(), CIDR: netip.MustParsePrefix("2001:db8:1::/64"), Gateway: netip.MustParseAddr("2001:db8:1::1"), DHCP: true, RAMode: "slaac", AddressMode: "slaac", Routed: true}
	group := cloud.GroupSpec{ID: cloud.NewID()} // nothing: what a boot needs is always allowed
	spec := cloud.NetworkSpec{
		ID: cloud.NewID(), MTU: 1450, Generation: 1, DNSDomain: "cloud.test", Subnets: []cloud.SubnetSpec{four, six}, Groups: []cloud.GroupSpec{group},
		DHCP: &cloud.ServicePort{PortID: cloud.NewID(), MAC: "fa:16:3e:00:00:02", Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/24"), netip.MustParsePrefix("2001:db8:1::2/64")}},
		Ports: []cloud.PortSpec{{ID: cloud.NewID(), InstanceID: instance.ID, MAC: "fa:16:3e:00:00:0b", AdminUp: true, Security: true, Hostname: "vm1", Groups: []string{group.ID}, DHCPOptions: []cloud.DHCPOption{{Name: "bootfile-name", Value: "pxelinux.0", IPVersion: 4}}, Addresses: []cloud.FixedIP{
			{SubnetID: four.ID, IP: netip.MustParseAddr("10.0.0.11")}, {SubnetID: six.ID, IP: netip.MustParseAddr("2001:db8:1:0:f816:3eff:fe00:b")},
		}}},
	}
	r := cloud.RouterSpec{ID: cloud.NewID(), Generation: 1, AdminUp: true, Interfaces: []cloud.RouterPort{{
		PortID: cloud.NewID(), NetworkID: spec.ID, MAC: "fa:16:3e:00:00:01", MTU: 1450,
		Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24"), netip.MustParsePrefix("2001:db8:1::1/64")},
		Advertise: []cloud.AdvertisedPrefix{{Prefix: six.CIDR, Mode: "slaac"}},
	}}}
	return spec, r, instance
}

// boot asks for a lease as a client does that has no address yet.
func boot(t *testing.T, g *linux.Guest) {
	t.Helper()
	var conn net.PacketConn
	ok(t, g.Do(func() (err error) {
		config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
			return raw.Control(func(fd uintptr) {
				_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1)
				_ = unix.BindToDevice(int(fd), "eth0")
			})
		}}
		conn, err = config.ListenPacket(context.Background(), "udp4", "0.0.0.0:68")
		return err
	}))
	defer conn.Close()
	mac, err := net.ParseMAC("fa:16:3e:00:00:0b")
	ok(t, err)
	start := time.Now()
	discover, err := dhcpv4.NewDiscovery(mac, dhcpv4.WithBroadcast(true))
	ok(t, err)
	offer := converse(t, conn, discover)
	request, err := dhcpv4.NewRequestFromOffer(offer, dhcpv4.WithBroadcast(true))
	ok(t, err)
	lease := converse(t, conn, request)
	t.Logf("lease: %v", time.Since(start).Round(time.Microsecond))
	if lease.MessageType() != dhcpv4.MessageTypeAck || lease.YourIPAddr.String() != "10.0.0.11" {
		t.Fatalf("lease: %s", lease.Summary())
	}
	if got := string(lease.Options.Get(dhcpv4.GenericOptionCode(239))); got != "cluster-1" {
		t.Errorf("marker %q", got)
	}
	if got := lease.BootFileNameOption(); got != "pxelinux.0" {
		t.Errorf("the port's own option is %q", got)
	}
}

// converse asks until there is an answer, as clients do: the kernel brings a
// link up some milliseconds after it was told to.
func converse(t *testing.T, conn net.PacketConn, m *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	t.Helper()
	buf := make([]byte, 2048)
	for range 50 {
		_, err := conn.WriteTo(m.ToBytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: 67})
		ok(t, err)
		ok(t, conn.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
		n, _, err := conn.ReadFrom(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		}
		ok(t, err)
		resp, err := dhcpv4.FromBytes(buf[:n])
		ok(t, err)
		return resp
	}
	t.Fatal("no answer from the DHCP server")
	return nil
}

// TestE2EStateful asks for an IPv6 address by DHCPv6, with router
// advertisements from the service port.
func TestE2EStateful(t *testing.T) {
	if os.Getenv("HEARTH_E2E") != "1" {
		t.Skip("needs root and the kernel: set HEARTH_E2E=1")
	}
	ctx := context.Background()
	driver, err := linux.New(linux.Config{Node: fmt.Sprintf("q%d", time.Now().UnixNano()%1e9)})
	ok(t, err)
	defer driver.Close()
	defer func() { ok(t, driver.Down(ctx)) }()
	spec, _, instance := bootExample()
	six := &spec.Subnets[1]
	six.RAMode, six.AddressMode, six.Routed = "dhcpv6-stateful", "dhcpv6-stateful", false
	m, err := New(t.TempDir(), driver, func(string) (cloud.InstanceSpec, bool) { return instance, true }, Options{})
	ok(t, err)
	defer m.Close()
	ok(t, m.ApplyNetwork(ctx, spec))
	g, err := linux.NewGuest()
	ok(t, err)
	defer g.Close()
	ok(t, driver.AttachGuest(ctx, spec.ID, spec.Ports[0].ID, g))
	ok(t, g.SetUp(nil))
	var conn net.PacketConn
	var index int
	ok(t, g.Do(func() (err error) {
		device, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		index = device.Index
		conn, err = net.ListenPacket("udp6", "[::]:546")
		return err
	}))
	defer conn.Close()
	mac, err := net.ParseMAC(spec.Ports[0].MAC)
	ok(t, err)
	solicit, err := dhcpv6.NewSolicit(mac)
	ok(t, err)
	advertise := converse6(t, conn, index, solicit)
	request, err := dhcpv6.NewRequestFromAdvertise(advertise)
	ok(t, err)
	reply := converse6(t, conn, index, request)
	if ia := reply.Options.OneIANA(); ia == nil || ia.Options.OneAddress() == nil || ia.Options.OneAddress().IPv6Addr.String() != "2001:db8:1:0:f816:3eff:fe00:b" {
		t.Errorf("reply %s", reply.Summary())
	}
	if dns := reply.Options.DNS(); len(dns) != 1 || dns[0].String() != "2001:db8:1::2" {
		t.Errorf("DNS %v", dns)
	}
}

func converse6(t *testing.T, conn net.PacketConn, index int, m *dhcpv6.Message) *dhcpv6.Message {
	t.Helper()
	buf := make([]byte, 2048)
	for range 50 {
		// It fails until the kernel has made the link-local address.
		_, _ = conn.WriteTo(m.ToBytes(), &net.UDPAddr{IP: net.ParseIP("ff02::1:2"), Port: 547, Zone: fmt.Sprint(index)})
		ok(t, conn.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
		n, _, err := conn.ReadFrom(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		}
		ok(t, err)
		resp, err := dhcpv6.MessageFromBytes(buf[:n])
		ok(t, err)
		return resp
	}
	t.Fatal("no answer from the DHCPv6 server")
	return nil
}

// dial opens a connection from the guest by connect(2), which stays on the thread.
func dial(t *testing.T, g *linux.Guest, kind int, address string) net.Conn {
	t.Helper()
	ap := netip.MustParseAddrPort(address)
	family := unix.AF_INET
	var to unix.Sockaddr
	if ap.Addr().Is6() {
		family, to = unix.AF_INET6, &unix.SockaddrInet6{Port: int(ap.Port()), Addr: ap.Addr().As16()}
	} else {
		to = &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}
	}
	var conn net.Conn
	ok(t, g.Do(func() error {
		fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		file := os.NewFile(uintptr(fd), address)
		defer file.Close()
		tv := unix.NsecToTimeval(int64(time.Minute))
		_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &tv)
		if err := unix.Connect(fd, to); err != nil {
			return fmt.Errorf("connect %s: %w", address, err)
		}
		conn, err = net.FileConn(file)
		return err
	}))
	ok(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	return conn
}

func fetch(t *testing.T, g *linux.Guest, address, path string) string {
	t.Helper()
	conn := dial(t, g, unix.SOCK_STREAM, address)
	defer conn.Close()
	req, err := http.NewRequest(http.MethodGet, "http://metadata"+path, nil)
	ok(t, err)
	ok(t, req.Write(conn))
	resp, err := http.ReadResponse(bufio.NewReader(conn), req)
	ok(t, err)
	defer resp.Body.Close()
	var text strings.Builder
	_, err = bufio.NewReader(resp.Body).WriteTo(&text)
	ok(t, err)
	return resp.Status + " " + text.String()
}

func resolve(t *testing.T, g *linux.Guest, server, name string) string {
	t.Helper()
	conn := dial(t, g, unix.SOCK_DGRAM, server)
	defer conn.Close()
	resp, _, err := new(dns.Client).ExchangeWithConn(new(dns.Msg).SetQuestion(name, dns.TypeA), &dns.Conn{Conn: conn})
	ok(t, err)
	if len(resp.Answer) == 0 {
		return dns.RcodeToString[resp.Rcode]
	}
	a, _ := resp.Answer[0].(*dns.A)
	return a.A.String()
}

// autoconfigured waits until the guest made its address from an advertisement, and
// speaks from it: the kernel has it wait a moment, even where nobody looks for another
// who has it.
func autoconfigured(t *testing.T, g *linux.Guest) {
	t.Helper()
	const want = "2001:db8:1:0:f816:3eff:fe00:b"
	deadline := time.Now().Add(time.Minute)
	for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C {
		var found bool
		ok(t, g.Do(func() error {
			device, err := net.InterfaceByName("eth0")
			if err != nil {
				return err
			}
			list, err := device.Addrs()
			for _, a := range list {
				found = found || strings.HasPrefix(a.String(), netip.MustParseAddr(want).String()+"/")
			}
			return err
		}))
		if found {
			conn := dial(t, g, unix.SOCK_DGRAM, "[2001:db8:1::2]:80") // which sends nothing, to who is on the link
			found = strings.HasPrefix(conn.LocalAddr().String(), "["+netip.MustParseAddr(want).String()+"]")
			ok(t, conn.Close())
		}
		if found {
			tick.Stop()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("no address was made from router advertisements")
		}
	}
}
