package port

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"hearth/internal/cloud"
	"hearth/internal/driver/network/linux"
)

// realManager is a manager on the real kernel, with a driver of its own.
func realManager(t *testing.T, instance cloud.InstanceSpec) (*Manager, *linux.Driver) {
	t.Helper()
	if os.Getenv("HEARTH_E2E") != "1" {
		t.Skip("needs root and the kernel: set HEARTH_E2E=1")
	}
	driver, err := linux.New(linux.Config{Node: fmt.Sprintf("m%d", time.Now().UnixNano()%1e9)})
	ok(t, err)
	t.Cleanup(func() {
		ok(t, driver.Down(context.Background()))
		_ = driver.Close()
	})
	m, err := New(t.TempDir(), driver, func(string) (cloud.InstanceSpec, bool) { return instance, true }, Options{})
	ok(t, err)
	t.Cleanup(func() { _ = m.Close() })
	return m, driver
}

// TestE2EStatelessIPv6 wants an address that the guest makes itself, and DNS by DHCPv6
// without an address.
func TestE2EStatelessIPv6(t *testing.T) {
	spec, _, instance := bootExample()
	six := &spec.Subnets[1]
	six.RAMode, six.AddressMode, six.Routed = "dhcpv6-stateless", "dhcpv6-stateless", false
	m, driver := realManager(t, instance)
	ok(t, m.ApplyNetwork(t.Context(), spec))
	g, err := linux.NewGuest()
	ok(t, err)
	defer g.Close()
	ok(t, driver.AttachGuest(t.Context(), spec.ID, spec.Ports[0].ID, g))
	ok(t, g.SetUp(nil))
	autoconfigured(t, g)
	var conn net.PacketConn
	var index int
	ok(t, g.Do(func() error {
		device, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		index = device.Index
		conn, err = net.ListenPacket("udp6", "[::]:546")
		return err
	}))
	defer conn.Close()
	ask, err := dhcpv6.NewMessage(dhcpv6.WithRequestedOptions(dhcpv6.OptionDNSRecursiveNameServer))
	ok(t, err)
	ask.MessageType = dhcpv6.MessageTypeInformationRequest
	reply := converse6(t, conn, index, ask)
	if dns := reply.Options.DNS(); len(dns) != 1 || dns[0].String() != "2001:db8:1::2" {
		t.Errorf("DNS %v", dns)
	}
	if ia := reply.Options.OneIANA(); ia != nil {
		t.Errorf("an address was given: %s", ia)
	}
}

// TestE2ESubPortLease has the guest of a trunk ask for its sub-port's address, by
// frames with the sub-port's tag at its real tap.
func TestE2ESubPortLease(t *testing.T) {
	parent, _, instance := bootExample()
	red, _, _ := bootExample()
	sub := &red.Ports[0]
	sub.MAC, sub.Addresses = "fa:16:3e:00:00:77", []cloud.FixedIP{{SubnetID: red.Subnets[0].ID, IP: netip.MustParseAddr("10.0.0.77")}}
	parent.Ports[0].SubPorts = []cloud.SubPortSpec{{PortID: sub.ID, NetworkID: red.ID, VLAN: 100, MTU: red.MTU}}
	m, driver := realManager(t, instance)
	ok(t, m.ApplyNetwork(t.Context(), parent)) // the order of the two is nobody's
	ok(t, m.ApplyNetwork(t.Context(), red))
	tap, err := driver.Plug(t.Context(), parent.ID, parent.Ports[0].ID)
	ok(t, err)
	defer tap.Close()
	for _, c := range []struct {
		vlan int
		mac  string
		want string
	}{{0, parent.Ports[0].MAC, "10.0.0.11"}, {100, sub.MAC, "10.0.0.77"}, {200, sub.MAC, ""}} {
		if got := lease(t, tap, c.vlan, c.mac); got != c.want {
			t.Errorf("with tag %d it is offered %q, want %q", c.vlan, got, c.want)
		}
	}
}

// lease asks at a tap for an offer; "" when none comes with the same tag.
func lease(t *testing.T, tap *os.File, vlan int, mac string) string {
	t.Helper()
	hw, err := net.ParseMAC(mac)
	ok(t, err)
	discover, err := dhcpv4.NewDiscovery(hw, dhcpv4.WithBroadcast(true))
	ok(t, err)
	frame := discovery(hw, vlan, discover.ToBytes())
	buf := make([]byte, 1<<16)
	for range 10 {
		_, err := tap.Write(frame)
		ok(t, err)
		ok(t, tap.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
		for {
			n, err := tap.Read(buf)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			ok(t, err)
			if ip := offered(buf[vnetHeader:n], vlan); ip != "" {
				return ip
			}
		}
	}
	return ""
}

// vnetHeader is the length of struct virtio_net_hdr, which goes before each frame.
const vnetHeader = 10

// discovery is a frame from no address to all, from the client's port to the server's.
func discovery(mac net.HardwareAddr, vlan int, message []byte) []byte {
	raw := append(make([]byte, vnetHeader), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
	raw = append(raw, mac...)
	if vlan != 0 {
		raw = append(raw, 0x81, 0x00, byte(vlan>>8), byte(vlan))
	}
	head := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255}
	binary.BigEndian.PutUint16(head[2:], uint16(28+len(message)))
	var sum uint32
	for i := 0; i < len(head); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(head[i:]))
	}
	binary.BigEndian.PutUint16(head[10:], ^uint16(sum>>16+sum&0xffff))
	raw = append(append(raw, 0x08, 0x00), head...)
	raw = append(raw, 0, 68, 0, 67, byte((8+len(message))>>8), byte(8+len(message)), 0, 0)
	return append(raw, message...)
}

// offered reads an offer's address from a frame with a tag; "" when it is none.
func offered(raw []byte, vlan int) string {
	if vlan != 0 {
		if len(raw) < 18 || binary.BigEndian.Uint16(raw[12:]) != 0x8100 || int(binary.BigEndian.Uint16(raw[14:])&0xfff) != vlan {
			return ""
		}
		raw = raw[4:]
	}
	if len(raw) < 42 || binary.BigEndian.Uint16(raw[12:]) != 0x0800 || raw[23] != 17 || binary.BigEndian.Uint16(raw[34:]) != 67 {
		return ""
	}
	m, err := dhcpv4.FromBytes(raw[42:])
	if err != nil || m.MessageType() != dhcpv4.MessageTypeOffer {
		return ""
	}
	return m.YourIPAddr.String()
}
