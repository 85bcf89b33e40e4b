package linux

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"hearth/internal/cloud"
)

// machine is a guest at a real tap that speaks in frames, as a hypervisor would
// hand them over.
type machine struct {
	t      *testing.T
	tap    *os.File
	frames chan wireFrame
}

// wireFrame is an Ethernet frame; vlan 0 is one without a tag.
type wireFrame struct {
	vlan     int
	from, to net.HardwareAddr
	kind     uint16
	body     []byte
}

// vnetHeader is the length of struct virtio_net_hdr, which goes before each frame.
const vnetHeader = 10

func (l *lab) machine(networkID, portID string) *machine {
	l.t.Helper()
	tap, err := l.d.Plug(context.Background(), networkID, portID)
	if err != nil {
		l.t.Fatal(err)
	}
	m := &machine{l.t, tap, make(chan wireFrame, 1000)}
	l.t.Cleanup(func() { _ = tap.Close() })
	go func() {
		buf := make([]byte, 1<<16)
		for {
			n, err := tap.Read(buf)
			if err != nil {
				if !errors.Is(err, os.ErrClosed) {
					l.t.Logf("tap: %v", err)
				}
				return
			}
			if n > vnetHeader+14 {
				m.frames <- parseWire(append([]byte(nil), buf[vnetHeader:n]...))
			}
		}
	}()
	return m
}

func parseWire(raw []byte) wireFrame {
	f := wireFrame{to: raw[:6], from: raw[6:12], kind: binary.BigEndian.Uint16(raw[12:]), body: raw[14:]}
	if f.kind == 0x8100 {
		f.vlan = int(binary.BigEndian.Uint16(raw[14:]) & 0xfff)
		f.kind, f.body = binary.BigEndian.Uint16(raw[16:]), raw[18:]
	}
	return f
}

func (m *machine) send(f wireFrame) {
	m.t.Helper()
	raw := make([]byte, vnetHeader, 100)
	raw = append(append(raw, f.to...), f.from...)
	if f.vlan != 0 {
		raw = binary.BigEndian.AppendUint16(raw, 0x8100)
		raw = binary.BigEndian.AppendUint16(raw, uint16(f.vlan))
	}
	raw = append(binary.BigEndian.AppendUint16(raw, f.kind), f.body...)
	if _, err := m.tap.Write(raw); err != nil {
		m.t.Fatal(err)
	}
}

// await gives the first frame that is wanted, asking again meanwhile; false when none
// comes in time.
func (m *machine) await(patience time.Duration, ask func(), wanted func(wireFrame) bool) (wireFrame, bool) {
	m.t.Helper()
	end := time.After(patience)
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	ask()
	for {
		select {
		case f := <-m.frames:
			if wanted(f) {
				return f, true
			}
		case <-again.C:
			ask()
		case <-end:
			return wireFrame{}, false
		}
	}
}

var broadcast = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

func mac(p cloud.PortSpec) net.HardwareAddr {
	hw, _ := net.ParseMAC(p.MAC)
	return hw
}

// resolves asks by ARP, with a tag or none, for an address in the name of a port, and
// tells whether an answer came back with the same tag.
func (m *machine) resolves(vlan int, own net.HardwareAddr, from, to string, patience time.Duration) bool {
	m.t.Helper()
	source, target := netip.MustParseAddr(from), netip.MustParseAddr(to)
	body := []byte{0, 1, 8, 0, 6, 4, 0, 1}
	body = append(append(body, own...), source.AsSlice()...)
	body = append(append(body, make([]byte, 6)...), target.AsSlice()...)
	ask := func() { m.send(wireFrame{vlan: vlan, from: own, to: broadcast, kind: 0x0806, body: body}) }
	_, ok := m.await(patience, ask, func(f wireFrame) bool {
		return f.vlan == vlan && f.kind == 0x0806 && len(f.body) >= 28 && f.body[7] == 2 && netip.AddrFrom4([4]byte(f.body[14:18])) == target
	})
	return ok
}

// echo pings, and tells whether it was answered.
func (m *machine) echo(vlan int, from, to cloud.PortSpec, patience time.Duration) bool {
	m.t.Helper()
	ping := []byte{8, 0, 0, 0, 0, 7, 0, 1, 'h', 'i'}
	binary.BigEndian.PutUint16(ping[2:], sum16(ping))
	body := ipv4(1, netip.MustParseAddr(ip(from)), netip.MustParseAddr(ip(to)), ping)
	ask := func() { m.send(wireFrame{vlan: vlan, from: mac(from), to: mac(to), kind: 0x0800, body: body}) }
	_, ok := m.await(patience, ask, func(f wireFrame) bool {
		return f.vlan == vlan && f.kind == 0x0800 && len(f.body) >= 28 && f.body[9] == 1 && f.body[20] == 0
	})
	return ok
}

// connected tells whether the first packet of a connection comes to a TCP port.
func (m *machine) connected(vlan int, port uint16, ask func(), patience time.Duration) bool {
	m.t.Helper()
	_, ok := m.await(patience, ask, func(f wireFrame) bool {
		return f.vlan == vlan && f.kind == 0x0800 && len(f.body) >= 40 && f.body[9] == 6 && binary.BigEndian.Uint16(f.body[22:]) == port
	})
	return ok
}

func ipv4(proto byte, from, to netip.Addr, body []byte) []byte {
	head := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, proto, 0, 0}
	binary.BigEndian.PutUint16(head[2:], uint16(20+len(body)))
	head = append(append(head, from.AsSlice()...), to.AsSlice()...)
	binary.BigEndian.PutUint16(head[10:], sum16(head))
	return append(head, body...)
}

// sum16 is the Internet checksum (RFC 1071).
func sum16(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		word := uint32(b[i]) << 8
		if i+1 < len(b) {
			word |= uint32(b[i+1])
		}
		sum += word
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
