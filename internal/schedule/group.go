package schedule

import (
	"fmt"
	"net/netip"
	"strings"

	"hearth/internal/cloud"
)

// inGroup counts the servers of the request's group on a host, without the
// server itself.
func (f Fleet) inGroup(h Host, r Request) (here, all int) {
	for _, id := range f.Members[r.Group] {
		if id == r.ServerID {
			continue
		}
		all++
		if f.Where[id] == h.Name {
			here++
		}
	}
	return here, all
}

// group refuses what the policy of the server's group forbids. A group that is no
// more has no say.
func group(f Fleet, h Host, r Request) string {
	g, ok := f.Groups[r.Group]
	if !ok {
		return ""
	}
	here, all := f.inGroup(h, r)
	switch most := max(1, g.MaxPerHost); {
	case g.Policy == cloud.PolicyAntiAffinity && here >= most:
		return fmt.Sprintf("has %d of the server group %s already, which allows %d to a host", here, g.Name, most)
	case g.Policy == cloud.PolicyAffinity && here == 0 && all > 0:
		return "has none of the server group " + g.Name + ", which is to be on one host"
	}
	return ""
}

// softly weighs two hosts by a soft policy: above 0 for a, below for b.
func (f Fleet) softly(a, b Host, r Request) int {
	g, ok := f.Groups[r.Group]
	if !ok {
		return 0
	}
	onA, _ := f.inGroup(a, r)
	onB, _ := f.inGroup(b, r)
	switch g.Policy {
	case cloud.PolicySoftAffinity:
		return onA - onB
	case cloud.PolicySoftAntiAffinity:
		return onB - onA
	}
	return 0
}

// near keeps the hosts in the network of an address (nova's
// SimpleCIDRAffinityFilter); without a size of the network it is a /24.
func near(_ Fleet, h Host, r Request) string {
	if r.NearIP == "" {
		return ""
	}
	bits := strings.TrimPrefix(r.NearBits, "/")
	if bits == "" {
		bits = "24"
	}
	network, err := netip.ParsePrefix(r.NearIP + "/" + bits)
	if err != nil {
		return "cannot be near " + r.NearIP + "/" + bits + ", which is no network"
	}
	ip, err := netip.ParseAddr(h.Seen.HostIP)
	if err != nil || !network.Masked().Contains(ip) {
		return fmt.Sprintf("has the address %s, not one of %s", h.Seen.HostIP, network.Masked())
	}
	return ""
}

// tenancy keeps the hosts of aggregates that are for some projects from all
// others: the metadata filter_tenant_id, and that with a suffix (nova's
// AggregateMultiTenancyIsolation).
func tenancy(_ Fleet, h Host, r Request) string {
	limited := false
	for _, a := range h.Aggregates {
		for key, value := range a.Metadata {
			if !strings.HasPrefix(key, "filter_tenant_id") {
				continue
			}
			limited = true
			for project := range strings.SplitSeq(value, ",") {
				if strings.TrimSpace(project) == r.ProjectID {
					return ""
				}
			}
		}
	}
	if limited {
		return "is in an aggregate that is for other projects"
	}
	return ""
}
