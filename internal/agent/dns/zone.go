// Package dns answers the names of a network's instances and of the metadata
// service, and passes everything else on to the host's resolvers. What cannot
// be resolved is refused at once: a guest that waits for a dead resolver loses
// fifteen seconds at boot.
package dns

import (
	"net/netip"
	"strings"

	"github.com/miekg/dns"

	"hearth/internal/cloud"
)

// Zone is the names of a network. It does not change: servers are given a new
// one.
type Zone struct {
	domain    string // fully qualified, lower case; "." for none
	addresses map[string][]netip.Addr
	names     map[string]string // by reverse name
}

// metadataNames are names of the metadata service that clouds have.
var metadataNames = []string{"metadata", "instance-data"}

var metadataAddresses = []netip.Addr{netip.MustParseAddr("169.254.169.254"), netip.MustParseAddr("fd00:ec2::254")}

// NewZone reads a network's spec: the host names of its ports, its name
// records, and the metadata service.
func NewZone(spec cloud.NetworkSpec) *Zone {
	z := &Zone{domain: dns.CanonicalName(spec.DNSDomain), addresses: map[string][]netip.Addr{}, names: map[string]string{}}
	for _, p := range spec.Ports {
		var ips []netip.Addr
		for _, fixed := range p.Addresses {
			ips = append(ips, fixed.IP)
		}
		z.add(p.Hostname, ips, true)
	}
	for _, r := range spec.Names {
		z.add(r.Name, r.IPs, true)
	}
	for _, name := range metadataNames {
		z.add(name, metadataAddresses, false)
	}
	return z
}

// add makes a name known by itself and with the domain behind it.
func (z *Zone) add(name string, ips []netip.Addr, reverse bool) {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if name == "" {
		return
	}
	if _, ok := dns.IsDomainName(name); !ok {
		return
	}
	full := name + "."
	if z.domain != "." && !dns.IsSubDomain(z.domain, full) {
		full = name + "." + z.domain
	}
	short := strings.TrimSuffix(full, "."+z.domain)
	for _, key := range []string{full, dns.Fqdn(short)} {
		for _, ip := range ips {
			if !has(z.addresses[key], ip) {
				z.addresses[key] = append(z.addresses[key], ip)
			}
		}
	}
	for _, ip := range ips {
		if back, err := dns.ReverseAddr(ip.String()); err == nil && reverse && z.names[back] == "" {
			z.names[back] = full
		}
	}
}

func has(list []netip.Addr, ip netip.Addr) bool {
	for _, l := range list {
		if l == ip {
			return true
		}
	}
	return false
}

// ttl is short: instances come and go (seconds).
const ttl = 30

// answer gives the records of a question. Ours is false when the name is not
// this network's to answer; known is false when it is, and is not there.
func (z *Zone) answer(q dns.Question) (records []dns.RR, known, ours bool) {
	name := dns.CanonicalName(q.Name)
	header := dns.RR_Header{Name: q.Name, Class: dns.ClassINET, Ttl: ttl}
	if full, ok := z.names[name]; ok {
		if q.Qtype == dns.TypePTR || q.Qtype == dns.TypeANY {
			header.Rrtype = dns.TypePTR
			records = append(records, &dns.PTR{Hdr: header, Ptr: full})
		}
		return records, true, true
	}
	ips, ok := z.addresses[name]
	if !ok {
		single := dns.CountLabel(name) <= 1
		return nil, false, single && name != "." || z.domain != "." && dns.IsSubDomain(z.domain, name)
	}
	for _, ip := range ips {
		switch {
		case ip.Is4() && (q.Qtype == dns.TypeA || q.Qtype == dns.TypeANY):
			header.Rrtype = dns.TypeA
			records = append(records, &dns.A{Hdr: header, A: ip.AsSlice()})
		case ip.Is6() && (q.Qtype == dns.TypeAAAA || q.Qtype == dns.TypeANY):
			header.Rrtype = dns.TypeAAAA
			records = append(records, &dns.AAAA{Hdr: header, AAAA: ip.AsSlice()})
		}
	}
	return records, true, true
}
