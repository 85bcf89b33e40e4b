package linux

import (
	"crypto/sha256"
	"encoding/json"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"hearth/internal/cloud"
)

// flowFilter chooses tracked connections by a function.
type flowFilter func(*netlink.ConntrackFlow) bool

// MatchConntrackFlow implements netlink.CustomConntrackFilter.
func (f flowFilter) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool { return f(flow) }

// deleteFlows forgets tracked connections in a namespace.
func (s *space) deleteFlows(family int, filter flowFilter) (uint, error) {
	handle, err := netlink.NewHandleAt(s.ns, unix.NETLINK_NETFILTER)
	if err != nil {
		return 0, err
	}
	defer handle.Close()
	return handle.ConntrackDeleteFilters(netlink.ConntrackTable, netlink.InetFamily(family), filter)
}

// cutFlows ends connections that the filters would no longer let begin. It
// looks only when a port or a group is otherwise than at the last look; a copy
// of the spec would not do to tell, because its owner may change it in place.
func (d *Driver) cutFlows(sw *space, state *netState, now cloud.NetworkSpec) error {
	raw, err := json.Marshal([]any{now.Groups, now.Ports, now.DHCP})
	if err != nil {
		return err
	}
	judged := sha256.Sum256(raw)
	if judged == state.judged {
		return nil
	}
	policy := newPolicy(now)
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		n, err := sw.deleteFlows(family, func(flow *netlink.ConntrackFlow) bool { return !policy.allows(flowOf(flow)) })
		if err != nil {
			return err
		}
		if n > 0 {
			d.log.Info("connections cut that are no longer allowed", "network", now.ID, "count", n)
		}
	}
	state.judged = judged
	return nil
}

// cutNAT ends connections through floating IPs that are mapped otherwise now,
// and those that left by an address the router no longer has.
func (d *Driver) cutNAT(rt *space, spec cloud.RouterSpec) error {
	fixed, own := map[netip.Addr]netip.Addr{}, map[netip.Addr]bool{}
	for _, f := range spec.FloatingIPs {
		fixed[f.Floating], own[f.Floating] = f.Fixed, true
	}
	forwards := map[cloud.ForwardSpec]bool{} // by all but the id
	for _, f := range spec.Forwards {
		own[f.Floating] = true
		f.ID = ""
		forwards[f] = true
	}
	for _, p := range routerPorts(spec) {
		for _, a := range p.Addresses {
			own[a.Addr()] = true
		}
	}
	_, err := rt.deleteFlows(unix.AF_INET, func(flow *netlink.ConntrackFlow) bool {
		source, target := addrOf(flow.Forward.SrcIP), addrOf(flow.Forward.DstIP)
		answerer, answered := addrOf(flow.Reverse.SrcIP), addrOf(flow.Reverse.DstIP)
		if target != answerer && fixed[target] != answerer && !forwards[forwardOf(flow)] {
			return true // translated to what is no longer behind it
		}
		return source != answered && !own[answered]
	})
	return err
}

// forwardOf is the forwarding that a translated connection came by, without an id.
func forwardOf(flow *netlink.ConntrackFlow) cloud.ForwardSpec {
	f := cloud.ForwardSpec{
		Floating: addrOf(flow.Forward.DstIP), Fixed: addrOf(flow.Reverse.SrcIP),
		External: int(flow.Forward.DstPort), InnerPort: int(flow.Reverse.SrcPort),
	}
	for name, number := range forwardProtocols {
		if number == flow.Forward.Protocol {
			f.Protocol = name
		}
	}
	return f
}

func addrOf(ip []byte) netip.Addr {
	addr, _ := netip.AddrFromSlice(ip)
	return addr.Unmap()
}

// flow is a tracked connection as its first packet was, without ICMP's type.
type flow struct {
	source, target netip.Addr
	proto          byte
	port           uint16
}

func flowOf(f *netlink.ConntrackFlow) flow {
	return flow{source: addrOf(f.Forward.SrcIP), target: addrOf(f.Forward.DstIP), proto: f.Forward.Protocol, port: f.Forward.DstPort}
}
