package dhcp

import (
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/rfc1035label"

	"hearth/internal/cloud"
)

// form is how the value of an option is written in a packet.
type form int

const (
	text form = iota
	addresses
	number16
	number8
	number32
	domains // labels as in DNS, one after another (RFC 3397)
)

// option is an option of DHCPv4.
type option struct {
	code uint8
	form form
}

// names are the options by the names that neutron's users know: dnsmasq's.
var names = map[string]option{
	"netmask": {1, addresses}, "time-offset": {2, number32}, "router": {3, addresses}, "dns-server": {6, addresses},
	"log-server": {7, addresses}, "lpr-server": {9, addresses}, "hostname": {12, text}, "boot-file-size": {13, number16},
	"domain-name": {15, text}, "swap-server": {16, addresses}, "root-path": {17, text}, "extension-path": {18, text},
	"default-ttl": {23, number8}, "mtu": {26, number16}, "broadcast": {28, addresses}, "nis-domain": {40, text},
	"nis-server": {41, addresses}, "ntp-server": {42, addresses}, "netbios-ns": {44, addresses}, "netbios-dd": {45, addresses},
	"netbios-nodetype": {46, number8}, "lease-time": {51, number32}, "vendor-class": {60, text}, "tftp-server": {66, text},
	"server-ip-address": {150, addresses}, "tftp-server-address": {150, addresses}, "bootfile-name": {67, text},
	"smtp-server": {69, addresses}, "pop3-server": {70, addresses}, "domain-search": {119, domains}, "sip-server": {120, addresses},
}

// numbered are the forms of the codes that names has, for options by number.
func numbered(code uint8) option {
	for _, o := range names {
		if o.code == code {
			return o
		}
	}
	return option{code, text}
}

// maxOption is what a single option can hold (bytes).
const maxOption = 255

// setExtra writes a port's own option. What cannot be understood is left out:
// the API refused it, or it is another family's.
func setExtra(resp *dhcpv4.DHCPv4, extra cloud.DHCPOption) {
	name := strings.TrimPrefix(strings.TrimPrefix(extra.Name, "option:"), "option-")
	o, ok := names[name]
	if !ok {
		n, err := strconv.ParseUint(name, 10, 8)
		if err != nil || n == 0 || n == 255 {
			return
		}
		o = numbered(uint8(n))
	}
	value, ok := encodeOption(o.form, extra.Value)
	if !ok || len(value) > maxOption {
		return
	}
	if name == "server-ip-address" {
		resp.ServerIPAddr = net.IP(value[:4])
	}
	if o.code == 67 && len(value) < 128 {
		resp.BootFileName = extra.Value
	}
	resp.UpdateOption(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(o.code), value))
}

func encodeOption(f form, value string) ([]byte, bool) {
	bits := 0
	switch f {
	case text:
		return []byte(value), value != ""
	case addresses:
		var raw []byte
		for _, part := range strings.Split(value, ",") {
			a, err := netip.ParseAddr(strings.TrimSpace(part))
			if err != nil || !a.Is4() {
				return nil, false
			}
			raw = append(raw, a.AsSlice()...)
		}
		return raw, true
	case domains:
		return encodeDomains(value)
	case number8:
		bits = 8
	case number16:
		bits = 16
	case number32:
		bits = 32
	}
	n, err := strconv.ParseUint(value, 10, bits)
	if err != nil {
		return nil, false
	}
	var raw []byte
	for shift := bits - 8; shift >= 0; shift -= 8 {
		raw = append(raw, byte(n>>shift))
	}
	return raw, true
}

// encodeDomains writes names that commas part.
func encodeDomains(value string) ([]byte, bool) {
	var list []string
	for _, name := range strings.Split(value, ",") {
		name = strings.TrimSuffix(strings.TrimSpace(name), ".")
		for label := range strings.SplitSeq(name, ".") {
			if label == "" || len(label) > 63 {
				return nil, false
			}
		}
		list = append(list, name)
	}
	return (&rfc1035label.Labels{Labels: list}).ToBytes(), true
}
