package network

import (
	"context"
	"net/netip"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// ChangePrefixes adds prefixes to a subnet pool of the caller's or takes some
// away, which no subnet may have been cut from. It gives the prefixes left.
func (s *Service) ChangePrefixes(ctx context.Context, c cloud.Caller, id string, add, remove []netip.Prefix) ([]netip.Prefix, error) {
	return update(ctx, s, func(tx *store.Tx) ([]netip.Prefix, error) {
		p, err := ownPool(tx, c, id, "update_subnetpool")
		if err != nil {
			return nil, err
		}
		if err := mayChangePrefixes(tx, c, p); err != nil {
			return nil, err
		}
		if err := growPool(&p, slices.Concat(p.Prefixes, add)); err != nil {
			return nil, err
		}
		if err := shrinkPool(tx, &p, remove); err != nil {
			return nil, err
		}
		if err := s.checkPool(tx, c, p); err != nil {
			return nil, err
		}
		p.UpdatedAt, p.Revision = s.clock.Now(), p.Revision+1
		return p.Prefixes, tx.SubnetPools.Update(p)
	})
}

func shrinkPool(tx *store.Tx, p *cloud.SubnetPool, remove []netip.Prefix) error {
	if len(remove) == 0 {
		return nil
	}
	subnets, err := cutFrom(tx, p.ID)
	if err != nil {
		return err
	}
	for _, cut := range remove {
		if cut.Addr().Is6() != (p.IPVersion == 6) {
			return refuse(cloud.Invalid, "PrefixVersionMismatch", "Cannot mix IPv4 and IPv6 prefixes in a subnet pool.")
		}
		for _, sub := range subnets {
			if sub.CIDR.Overlaps(cut) {
				return refuse(cloud.Invalid, "IllegalSubnetPoolPrefixUpdate", "Illegal update to prefixes: subnet %s (%s) was cut from %s.", sub.ID, sub.CIDR, cut)
			}
		}
		var left []netip.Prefix
		for _, have := range p.Prefixes {
			left = append(left, outside(have, cut.Masked())...)
		}
		p.Prefixes = left
	}
	if len(p.Prefixes) == 0 {
		return refuse(cloud.Invalid, "EmptySubnetPoolPrefixList", "Empty subnet pool prefix list.")
	}
	return nil
}

// outside is what is left of a prefix that another is taken from, in order: the
// halves that it is not in.
func outside(have, cut netip.Prefix) []netip.Prefix {
	switch {
	case !have.Overlaps(cut):
		return []netip.Prefix{have}
	case cut.Bits() <= have.Bits():
		return nil
	}
	low, high := halves(have)
	return append(outside(low, cut), outside(high, cut)...)
}

func halves(p netip.Prefix) (low, high netip.Prefix) {
	bits := p.Bits() + 1
	upper := p.Addr().AsSlice()
	upper[(bits-1)/8] |= 1 << (7 - (bits-1)%8)
	addr, _ := netip.AddrFromSlice(upper)
	return netip.PrefixFrom(p.Addr(), bits), netip.PrefixFrom(addr, bits)
}
