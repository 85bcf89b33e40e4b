package dhcp

import (
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
)

// hardwareOf finds the hardware address of a DHCPv6 client: in its link-local
// address, which the port's filter lets it use no other of, else in its DUID.
func (t *Table) hardwareOf(from netip.Addr, msg *dhcpv6.Message) (string, bool) {
	if mac, err := dhcpv6.GetMacAddressFromEUI64(from.AsSlice()); err == nil && from.IsLinkLocalUnicast() {
		if _, ok := t.six[mac.String()]; ok {
			return mac.String(), true
		}
	}
	mac, err := dhcpv6.ExtractMAC(msg)
	if err != nil {
		return "", false
	}
	_, ok := t.six[mac.String()]
	return mac.String(), ok
}

// answer6 is the answer to a message from an address; nil for none.
func (t *Table) answer6(server net.HardwareAddr, from netip.Addr, msg *dhcpv6.Message) *dhcpv6.Message {
	duid := &dhcpv6.DUIDLL{HWType: iana.HWTypeEthernet, LinkLayerAddr: server}
	if chosen := msg.Options.ServerID(); chosen != nil && !chosen.Equal(duid) {
		return nil
	}
	mac, ok := t.hardwareOf(from, msg)
	if !ok {
		return nil
	}
	l := t.six[mac]
	common := []dhcpv6.Modifier{dhcpv6.WithServerID(duid)}
	if len(l.dns) > 0 {
		common = append(common, dhcpv6.WithDNS(toIPs(l.dns)...))
	}
	if t.domain != "" {
		common = append(common, dhcpv6.WithDomainSearchList(t.domain))
	}
	switch msg.MessageType {
	case dhcpv6.MessageTypeSolicit:
		if msg.Options.ClientID() == nil {
			return nil
		}
		if msg.GetOneOption(dhcpv6.OptionRapidCommit) != nil {
			return made(dhcpv6.NewReplyFromMessage(msg, append(common, dhcpv6.WithRapidCommit, t.identity(msg, l))...))
		}
		return made(dhcpv6.NewAdvertiseFromSolicit(msg, append(common, t.identity(msg, l))...))
	case dhcpv6.MessageTypeRequest, dhcpv6.MessageTypeRenew, dhcpv6.MessageTypeRebind:
		return made(dhcpv6.NewReplyFromMessage(msg, append(common, t.identity(msg, l))...))
	case dhcpv6.MessageTypeConfirm:
		return made(dhcpv6.NewReplyFromMessage(msg, append(common, confirm(msg, l))...))
	case dhcpv6.MessageTypeInformationRequest:
		return information(msg, common)
	case dhcpv6.MessageTypeRelease, dhcpv6.MessageTypeDecline:
		return made(dhcpv6.NewReplyFromMessage(msg, append(common, status(iana.StatusSuccess, ""))...))
	}
	return nil
}

func made(msg *dhcpv6.Message, err error) *dhcpv6.Message {
	if err != nil {
		return nil
	}
	return msg
}

// information answers a client that wants no address; it need not say who it
// is (RFC 8415, 18.2.6).
func information(msg *dhcpv6.Message, common []dhcpv6.Modifier) *dhcpv6.Message {
	reply := &dhcpv6.Message{MessageType: dhcpv6.MessageTypeReply, TransactionID: msg.TransactionID}
	if id := msg.Options.ClientID(); id != nil {
		reply.AddOption(dhcpv6.OptClientID(id))
	}
	for _, set := range common {
		set(reply)
	}
	return reply
}

func status(code iana.StatusCode, text string) dhcpv6.Modifier {
	return dhcpv6.WithOption(&dhcpv6.OptStatusCode{StatusCode: code, StatusMessage: text})
}

// maxIdentities bounds the associations of one message that are answered.
const maxIdentities = 8

// identity answers the message's associations (IA_NA) with the lease's
// addresses; one that is not the client's gets no more life.
func (t *Table) identity(msg *dhcpv6.Message, l lease6) dhcpv6.Modifier {
	return func(d dhcpv6.DHCPv6) {
		for i, asked := range msg.Options.IANA() {
			if i == maxIdentities {
				return
			}
			ia := &dhcpv6.OptIANA{IaId: asked.IaId, T1: t.options.Lease / 2, T2: t.options.Lease * 4 / 5}
			if i == 0 {
				for _, ip := range l.ips {
					ia.Options.Add(&dhcpv6.OptIAAddress{IPv6Addr: ip.AsSlice(), PreferredLifetime: t.options.Lease, ValidLifetime: t.options.Lease})
				}
			}
			if i > 0 || len(l.ips) == 0 {
				ia.Options.Add(&dhcpv6.OptStatusCode{StatusCode: iana.StatusNoAddrsAvail, StatusMessage: "no address here for this"})
			}
			for n, old := range asked.Options.Addresses() {
				if n < maxIdentities && !own(l, old.IPv6Addr) {
					ia.Options.Add(&dhcpv6.OptIAAddress{IPv6Addr: old.IPv6Addr, PreferredLifetime: 0 * time.Second, ValidLifetime: 0})
				}
			}
			d.AddOption(ia)
		}
	}
}

// confirm tells a client that moved whether its addresses are still right.
func confirm(msg *dhcpv6.Message, l lease6) dhcpv6.Modifier {
	for _, ia := range msg.Options.IANA() {
		for _, a := range ia.Options.Addresses() {
			if !own(l, a.IPv6Addr) {
				return status(iana.StatusNotOnLink, "this is not your address")
			}
		}
	}
	return status(iana.StatusSuccess, "")
}

func own(l lease6, ip net.IP) bool {
	for _, a := range l.ips {
		if same(ip, a) {
			return true
		}
	}
	return false
}
