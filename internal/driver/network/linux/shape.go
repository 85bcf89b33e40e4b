package linux

import (
	"errors"
	"fmt"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"hearth/internal/cloud"
)

// prefixShaper begins the names of the devices that a port's outgoing traffic is
// led through to be delayed: a queue delays only what leaves a device.
const prefixShaper = "ifb"

// shapeLatency is how long a packet may wait in a full queue.
const shapeLatency = 50 * time.Millisecond

func shaperName(portID string) string { return linkName(prefixShaper, portID) }

// applyLimits makes the taps that are there as fast as the spec lets them be, both
// ways, by token buckets; and takes the limits off the others.
func (s *space) applyLimits(spec cloud.NetworkSpec) error {
	links, err := s.LinkList()
	if err != nil {
		return err
	}
	byName := map[string]netlink.Link{}
	for _, l := range links {
		byName[l.Attrs().Name] = l
	}
	qdiscs, err := s.QdiscList(nil)
	if err != nil {
		return err
	}
	have := map[int][]netlink.Qdisc{}
	for _, q := range qdiscs {
		have[q.Attrs().LinkIndex] = append(have[q.Attrs().LinkIndex], q)
	}
	wanted := map[string]bool{}
	for _, p := range spec.Ports {
		wanted[shaperName(p.ID)] = p.Egress.Kbps > 0
		tap := byName[tapName(p.ID)]
		if tap == nil {
			continue
		}
		if err := s.limit(tap, have[tap.Attrs().Index], p.Ingress, spec.MTU); err != nil {
			return fmt.Errorf("limit what port %s receives: %w", p.ID, err)
		}
		if err := s.limitSender(tap, byName[shaperName(p.ID)], have, p, spec.MTU); err != nil {
			return fmt.Errorf("limit what port %s sends: %w", p.ID, err)
		}
	}
	for name, link := range byName {
		if named(name, prefixShaper) && !wanted[name] {
			if err := s.LinkDel(link); err != nil && !errors.Is(err, unix.ENODEV) {
				return err
			}
		}
	}
	return nil
}

// limit gives a device a token bucket for what leaves it, or takes it away.
func (s *space) limit(link netlink.Link, have []netlink.Qdisc, b cloud.Bandwidth, mtu int) error {
	if b.Kbps > 0 {
		return s.QdiscReplace(bucket(link.Attrs().Index, b, mtu))
	}
	for _, q := range have {
		if tbf, ok := q.(*netlink.Tbf); ok {
			return s.QdiscDel(tbf)
		}
	}
	return nil
}

// bucket is a token bucket (tc-tbf(8)). What neutron does without a burst is done
// here: four fifths of a second's worth, and never less than a packet or what one
// tick of the kernel's clock lets through.
func bucket(index int, b cloud.Bandwidth, mtu int) *netlink.Tbf {
	rate := uint64(b.Kbps) * 1000 / 8 // bytes a second
	burst := uint64(b.BurstKb) * 1000 / 8
	if burst == 0 {
		burst = rate * 4 / 5
	}
	burst = max(burst, uint64(2*mtu), rate/100)
	ticks := float64(burst) * netlink.TIME_UNITS_PER_SEC / float64(rate) * netlink.TickInUsec()
	return &netlink.Tbf{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT},
		Rate:       rate, Buffer: uint32(min(ticks, 1<<32-1)),
		Limit: uint32(min(burst+uint64(float64(rate)*shapeLatency.Seconds()), 1<<32-1)),
	}
}

// limitSender leads what a tap's guest sends through a device with a bucket.
// Packets come back from it as if from the tap, to the bridge and its filters.
func (s *space) limitSender(tap, shaper netlink.Link, have map[int][]netlink.Qdisc, p cloud.PortSpec, mtu int) error {
	entry := false
	for _, q := range have[tap.Attrs().Index] {
		entry = entry || q.Type() == "ingress"
	}
	led := entry && shaper != nil
	if entry && (p.Egress.Kbps == 0 || shaper == nil) {
		if err := s.dropEntryFilters(tap, orderLimit); err != nil {
			return err
		}
	}
	if p.Egress.Kbps == 0 {
		return nil
	}
	if shaper == nil {
		attrs := netlink.LinkAttrs{Name: shaperName(p.ID), MTU: mtu, TxQLen: 1000}
		if err := s.LinkAdd(&netlink.Ifb{LinkAttrs: attrs}); err != nil {
			return err
		}
		var err error
		if shaper, err = s.LinkByName(attrs.Name); err != nil {
			return err
		}
	}
	if err := errors.Join(s.LinkSetUp(shaper), s.QdiscReplace(bucket(shaper.Attrs().Index, p.Egress, mtu))); err != nil {
		return err
	}
	if led {
		return nil
	}
	return s.redirect(tap, shaper)
}

// redirect sends all that comes in by one device out by another.
func (s *space) redirect(from, to netlink.Link) error {
	if err := s.ensureEntry(from); err != nil {
		return err
	}
	return s.FilterAdd(&netlink.U32{
		FilterAttrs: netlink.FilterAttrs{LinkIndex: from.Attrs().Index, Parent: entryHandle, Priority: orderLimit, Protocol: unix.ETH_P_ALL},
		ClassId:     netlink.MakeHandle(1, 1),
		Actions:     []netlink.Action{netlink.NewMirredAction(to.Attrs().Index)},
	})
}
