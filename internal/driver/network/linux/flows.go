package linux

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sync/errgroup"
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

// judgement is the check sum of what the filters and the connections they let
// live depend on. A copy of the spec would not do, because its owner may change
// it in place.
func judgement(spec cloud.NetworkSpec) ([sha256.Size]byte, error) {
	raw, err := json.Marshal([]any{spec.Groups, spec.AddressGroups, spec.Ports, spec.DHCP})
	return sha256.Sum256(raw), err
}

// cutFlows ends connections that the filters would no longer let begin. Both
// families are looked through at once: the kernel walks all of its table for
// each.
func (d *Driver) cutFlows(sw *space, now cloud.NetworkSpec) error {
	if none, err := sw.noFlows(); none || err != nil {
		return err
	}
	policy := newPolicy(now)
	var group errgroup.Group
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		group.Go(func() error {
			n, err := sw.deleteFlows(family, func(flow *netlink.ConntrackFlow) bool { return !policy.allows(flowOf(flow)) })
			if n > 0 {
				d.log.Info("connections cut that are no longer allowed", "network", now.ID, "count", n)
			}
			return err
		})
	}
	return group.Wait()
}

// noFlows tells whether the namespace tracks no connection at all. A kernel that
// does not count them has it looked through.
func (s *space) noFlows() (none bool, err error) {
	err = inNamespace(s.ns, func() error {
		count, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_count")
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		none = strings.TrimSpace(string(count)) == "0"
		return err
	})
	return none, err
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
