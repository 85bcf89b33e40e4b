package linux

import (
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Numbers of Ethernet and IP protocols.
const (
	etherIPv4 = 0x0800
	etherARP  = 0x0806
	etherIPv6 = 0x86dd

	protoICMP    = 1
	protoTCP     = 6
	protoUDP     = 17
	protoDCCP    = 33
	protoICMPv6  = 58
	protoSCTP    = 132
	protoUDPLite = 136
)

// match is a part of an nftables rule. Parts put one after the other must all
// hold.
type match []expr.Any

func join(parts ...match) match {
	var all match
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func be16(v uint16) []byte { return binary.BigEndian.AppendUint16(nil, v) }

func native32(v uint32) []byte { return binaryutil.NativeEndian.PutUint32(v) }

func metaIs(key expr.MetaKey, value []byte) match {
	return match{&expr.Meta{Key: key, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: value}}
}

// protocolIs matches the Ethernet protocol, in the bridge family and in inet.
func protocolIs(ether uint16) match { return metaIs(expr.MetaKeyPROTOCOL, be16(ether)) }

// l4Is matches the transport protocol, behind IPv6 extension headers too.
func l4Is(proto byte) match { return metaIs(expr.MetaKeyL4PROTO, []byte{proto}) }

func payloadIs(base expr.PayloadBase, offset uint32, value []byte) match {
	return match{
		&expr.Payload{DestRegister: 1, Base: base, Offset: offset, Len: uint32(len(value))},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: value},
	}
}

// payloadIn matches an address in the packet against a prefix.
func payloadIn(base expr.PayloadBase, offset uint32, prefix netip.Prefix) match {
	prefix = prefix.Masked()
	value := prefix.Addr().AsSlice()
	if prefix.Bits() == prefix.Addr().BitLen() {
		return payloadIs(base, offset, value)
	}
	if prefix.Bits() == 0 {
		return nil
	}
	size := uint32(len(value))
	return match{
		&expr.Payload{DestRegister: 1, Base: base, Offset: offset, Len: size},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: size, Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen()), Xor: make([]byte, size)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: value},
	}
}

const (
	ethernet  = expr.PayloadBaseLLHeader
	networkHd = expr.PayloadBaseNetworkHeader
	transport = expr.PayloadBaseTransportHeader
)

func sourceMAC(mac net.HardwareAddr) match { return payloadIs(ethernet, 6, mac) }

// sourceIn matches the source address of IPv4 or IPv6.
func sourceIn(p netip.Prefix) match {
	if p.Addr().Is4() {
		return payloadIn(networkHd, 12, p)
	}
	return payloadIn(networkHd, 8, p)
}

// destinationIs matches the destination address of IPv4 or IPv6.
func destinationIn(p netip.Prefix) match {
	if p.Addr().Is4() {
		return payloadIn(networkHd, 16, p)
	}
	return payloadIn(networkHd, 24, p)
}

func host(addr netip.Addr) netip.Prefix { return netip.PrefixFrom(addr, addr.BitLen()) }

// etherOf is the Ethernet protocol of an address.
func etherOf(addr netip.Addr) uint16 {
	if addr.Is4() {
		return etherIPv4
	}
	return etherIPv6
}

func sourcePort(port uint16) match      { return payloadIs(transport, 0, be16(port)) }
func destinationPort(port uint16) match { return payloadIs(transport, 2, be16(port)) }
func icmpType(kind byte) match          { return payloadIs(transport, 0, []byte{kind}) }

// udp matches a datagram between two ports.
func udp(from, to uint16) match { return join(l4Is(protoUDP), sourcePort(from), destinationPort(to)) }

// stateIs matches any of the given states of connection tracking.
func stateIs(bits uint32) match {
	return match{
		&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: native32(bits), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
	}
}

// setMark keeps the bits of mask of the packet's mark and sets others.
func setMark(keep, set uint32) match {
	return match{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: native32(keep), Xor: native32(set)},
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: 1},
	}
}

// markLookup sends a packet on by the bits of mask of its mark.
func markLookup(mask uint32, set string, id uint32) match {
	return match{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: native32(mask), Xor: make([]byte, 4)},
		&expr.Lookup{SourceRegister: 1, SetName: set, SetID: id, DestRegister: 0, IsDestRegSet: true},
	}
}

// interfaceBegins matches interfaces by the beginning of their name.
func interfaceBegins(key expr.MetaKey, prefix string) match {
	return metaIs(key, []byte(prefix))
}

func interfaceKey(name string) []byte {
	key := make([]byte, unix.IFNAMSIZ)
	copy(key, name)
	return key
}

func interfaceIs(key expr.MetaKey, name string) match { return metaIs(key, interfaceKey(name)) }

func counter() match                   { return match{&expr.Counter{}} }
func accept() match                    { return match{&expr.Verdict{Kind: expr.VerdictAccept}} }
func drop() match                      { return match{&expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop}} }
func jump(chain string) match          { return match{&expr.Verdict{Kind: expr.VerdictJump, Chain: chain}} }
func goTo(chain string) match          { return match{&expr.Verdict{Kind: expr.VerdictGoto, Chain: chain}} }
func goVerdict(c string) *expr.Verdict { return &expr.Verdict{Kind: expr.VerdictGoto, Chain: c} }
