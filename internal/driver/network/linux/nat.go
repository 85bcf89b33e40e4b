package linux

import (
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"hearth/internal/cloud"
)

// tableNAT is a router's only table.
const tableNAT = "hearth_nat"

// markHairpin is on packets from inside to a floating IP: their sender must be
// changed too, or the answer would not come back by the router.
const markHairpin = 1

// applyNAT replaces a router's NAT in one transaction: floating IPs one to one,
// and the rest by the gateway's address when the router has source NAT. IPv6 is
// routed as it is.
func (d *Driver) applyNAT(rt *space, spec cloud.RouterSpec) error {
	conn, err := nftConn(rt.ns)
	if err != nil {
		return fmt.Errorf("nftables: %w", err)
	}
	t := replaceTable(conn, nftables.TableFamilyIPv4, tableNAT)
	if spec.Gateway != nil {
		if err := addNAT(t, spec); err != nil {
			return err
		}
	}
	addScopes(replaceTable(conn, nftables.TableFamilyINet, tableScopes), spec)
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("nftables, NAT of router %s: %w", spec.ID, err)
	}
	return nil
}

func addNAT(t chainSet, spec cloud.RouterSpec) error {
	accepts := nftables.ChainPolicyAccept
	mark := t.base("hairpin", nftables.ChainTypeFilter, nftables.ChainHookPrerouting, -150, accepts)
	pre := t.base("floating", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, -100, accepts)
	post := t.base("source", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, 100, accepts)
	inward := &nftables.Set{Table: t.table, Name: "inward", IsMap: true, KeyType: nftables.TypeIPAddr, DataType: nftables.TypeIPAddr}
	outward := &nftables.Set{Table: t.table, Name: "outward", IsMap: true, KeyType: nftables.TypeIPAddr, DataType: nftables.TypeIPAddr}
	var in, out []nftables.SetElement
	seen := map[netip.Addr]bool{}
	for _, f := range spec.FloatingIPs {
		in = append(in, nftables.SetElement{Key: f.Floating.AsSlice(), Val: f.Fixed.AsSlice()})
		if !seen[f.Fixed] { // of several, the first is what the world sees
			seen[f.Fixed] = true
			out = append(out, nftables.SetElement{Key: f.Fixed.AsSlice(), Val: f.Floating.AsSlice()})
		}
	}
	if err := t.conn.AddSet(inward, in); err != nil {
		return err
	}
	if err := t.conn.AddSet(outward, out); err != nil {
		return err
	}
	gateway := linkName(prefixGateway, spec.Gateway.PortID)
	inside := interfaceBegins(expr.MetaKeyIIFNAME, prefixInner)
	outside := interfaceIs(expr.MetaKeyOIFNAME, gateway)
	for _, f := range spec.Forwards {
		t.rule(mark, inside, forwarded(f), setMark(0, markHairpin))
		t.rule(pre, forwarded(f), forwardTo(f))
	}
	t.rule(mark, inside, addressIn(16, inward), setMark(0, markHairpin))
	t.rule(pre, translate(16, inward, expr.NATTypeDestNAT))
	hairpin := metaIs(expr.MetaKeyMARK, native32(markHairpin))
	t.rule(post, hairpin, translate(12, outward, expr.NATTypeSourceNAT))
	t.rule(post, outside, translate(12, outward, expr.NATTypeSourceNAT))
	if own, ok := firstIPv4(spec.Gateway.Addresses); ok {
		t.rule(post, hairpin, sourceNAT(own))
		if spec.SNAT {
			for _, face := range unnatted(spec) {
				t.rule(post, outside, join(interfaceIs(expr.MetaKeyIIFNAME, face), accept()))
			}
			t.rule(post, outside, sourceNAT(own))
		}
	}
	return nil
}

// addressIn matches the address at an offset of the IPv4 header against a map's
// keys; reading the value as well is how a lookup in a map matches.
func addressIn(offset uint32, set *nftables.Set) match {
	return match{
		&expr.Payload{DestRegister: 1, Base: networkHd, Offset: offset, Len: 4},
		&expr.Lookup{SourceRegister: 1, DestRegister: 1, IsDestRegSet: true, SetName: set.Name, SetID: set.ID},
	}
}

// translate replaces an address by what the map says.
func translate(offset uint32, set *nftables.Set, kind expr.NATType) match {
	return join(addressIn(offset, set), match{&expr.NAT{Type: kind, Family: unix.NFPROTO_IPV4, RegAddrMin: 1}})
}

// forwarded matches what comes to a forwarded port of an external address.
func forwarded(f cloud.ForwardSpec) match {
	return join(destinationIn(host(f.Floating)), l4Is(forwardProtocols[f.Protocol]), destinationPort(uint16(f.External)))
}

// forwardProtocols are the protocols that ports can be forwarded of.
var forwardProtocols = map[string]byte{"tcp": protoTCP, "udp": protoUDP}

// forwardTo replaces both address and port.
func forwardTo(f cloud.ForwardSpec) match {
	return match{
		&expr.Immediate{Register: 1, Data: f.Fixed.AsSlice()},
		&expr.Immediate{Register: 2, Data: be16(uint16(f.InnerPort))},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1, RegProtoMin: 2},
	}
}

func sourceNAT(own netip.Addr) match {
	return match{
		&expr.Immediate{Register: 1, Data: own.AsSlice()},
		&expr.NAT{Type: expr.NATTypeSourceNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1},
	}
}

func firstIPv4(list []netip.Prefix) (netip.Addr, bool) {
	for _, p := range list {
		if p.Addr().Is4() {
			return p.Addr(), true
		}
	}
	return netip.Addr{}, false
}
