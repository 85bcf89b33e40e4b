package network

import (
	"net/netip"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// poolPrefixes gives prefixes in order, with those that are halves of a larger
// one, or inside another, made one; and their version.
func poolPrefixes(asked []netip.Prefix) ([]netip.Prefix, int, error) {
	if len(asked) == 0 {
		return nil, 0, refuse(cloud.Invalid, "EmptySubnetPoolPrefixList", "Empty subnet pool prefix list.")
	}
	version := 4
	if asked[0].Addr().Is6() {
		version = 6
	}
	var out []netip.Prefix
	for _, p := range asked {
		if p.Addr().Is6() != (version == 6) {
			return nil, 0, refuse(cloud.Invalid, "PrefixVersionMismatch", "Cannot mix IPv4 and IPv6 prefixes in a subnet pool.")
		}
		out = append(out, p.Masked())
	}
	slices.SortFunc(out, func(a, b netip.Prefix) int {
		if c := a.Addr().Compare(b.Addr()); c != 0 {
			return c
		}
		return a.Bits() - b.Bits()
	})
	return compactPrefixes(out), version, nil
}

// compactPrefixes joins sorted prefixes.
func compactPrefixes(sorted []netip.Prefix) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range sorted {
		if n := len(out); n > 0 && out[n-1].Contains(p.Addr()) {
			continue
		}
		out = append(out, p)
		for n := len(out); n > 1 && twins(out[n-2], out[n-1]); n = len(out) {
			out = append(out[:n-2], netip.PrefixFrom(out[n-2].Addr(), out[n-2].Bits()-1))
		}
	}
	return out
}

// twins tells whether two prefixes are the halves of one.
func twins(a, b netip.Prefix) bool {
	if a.Bits() != b.Bits() || a.Bits() == 0 {
		return false
	}
	whole := netip.PrefixFrom(a.Addr(), a.Bits()-1).Masked()
	return whole.Addr() == a.Addr() && whole.Contains(b.Addr())
}

// covers tells whether one of the prefixes holds all of another.
func covers(list []netip.Prefix, p netip.Prefix) bool {
	return slices.ContainsFunc(list, func(l netip.Prefix) bool { return l.Bits() <= p.Bits() && l.Contains(p.Addr()) })
}

// growPool gives a pool more prefixes.
func growPool(p *cloud.SubnetPool, asked []netip.Prefix) error {
	list, version, err := poolPrefixes(asked)
	if err != nil {
		return err
	}
	if version != p.IPVersion {
		return refuse(cloud.Invalid, "PrefixVersionMismatch", "Cannot mix IPv4 and IPv6 prefixes in a subnet pool.")
	}
	for _, old := range p.Prefixes {
		if !covers(list, old) {
			return refuse(cloud.Invalid, "IllegalSubnetPoolPrefixUpdate", "Illegal update to prefixes: Existing prefixes must be a subset of the new prefixes.")
		}
	}
	p.Prefixes = list
	return nil
}

// cutFrom gives the subnets that were cut from a pool.
func cutFrom(tx *store.Tx, poolID string) ([]cloud.Subnet, error) {
	rows, err := tx.Subnets.List(store.Query{})
	return keep(rows, err, func(sub cloud.Subnet) bool { return sub.SubnetPoolID == poolID })
}

// choosePool finds the pool that a new subnet is cut from: the one asked for, the
// default one, or none.
func choosePool(tx *store.Tx, c cloud.Caller, r SubnetCreate) (*cloud.SubnetPool, error) {
	switch {
	case r.SubnetPoolID != "" && r.UseDefaultPool:
		return nil, badRequest("subnets", "subnetpool_id and use_default_subnetpool cannot both be specified")
	case r.SubnetPoolID != "":
		p, err := seePool(tx, c, r.SubnetPoolID)
		if err == nil && p.IPVersion != r.IPVersion {
			err = badRequest("subnets", "Cannot allocate IPv%d subnet from IPv%d subnet pool", r.IPVersion, p.IPVersion)
		}
		return &p, err
	case r.UseDefaultPool:
		p, err := defaultPool(tx, r.IPVersion)
		if err == nil && p == nil {
			err = badRequest("subnets", "No default subnetpool found for IPv%d", r.IPVersion)
		}
		return p, err
	}
	return nil, nil
}

// defaultPool gives the default pool of an IP version; nil if there is none.
func defaultPool(tx *store.Tx, version int) (*cloud.SubnetPool, error) {
	rows, err := tx.SubnetPools.List(store.Query{})
	for _, p := range rows {
		if p.IsDefault && p.IPVersion == version {
			return &p, err
		}
	}
	return nil, err
}

// cut takes a subnet's prefix out of a pool: the one asked for, or the first free
// one of a length.
func cut(tx *store.Tx, p cloud.SubnetPool, projectID string, r SubnetCreate) (netip.Prefix, error) {
	bits := or(r.PrefixLength, p.DefaultPrefix)
	if r.CIDR.IsValid() {
		bits = r.CIDR.Bits()
	}
	switch {
	case bits < p.MinPrefix:
		return netip.Prefix{}, refuse(cloud.Invalid, "MinPrefixSubnetAllocationError", "Unable to allocate subnet with prefix length %d, minimum allowed prefix is %d.", bits, p.MinPrefix)
	case bits > p.MaxPrefix:
		return netip.Prefix{}, refuse(cloud.Invalid, "MaxPrefixSubnetAllocationError", "Unable to allocate subnet with prefix length %d, maximum allowed prefix is %d.", bits, p.MaxPrefix)
	}
	subnets, err := cutFrom(tx, p.ID)
	if err != nil {
		return netip.Prefix{}, err
	}
	if err := checkPoolQuota(p, projectID, subnets, bits); err != nil {
		return netip.Prefix{}, err
	}
	taken := make([]netip.Prefix, len(subnets))
	for i, sub := range subnets {
		taken[i] = sub.CIDR
	}
	if r.CIDR.IsValid() {
		want := r.CIDR.Masked()
		if covers(p.Prefixes, want) && !slices.ContainsFunc(taken, want.Overlaps) {
			return want, nil
		}
		return want, conflict("SubnetAllocationError", "Failed to allocate subnet: Cannot allocate requested subnet from the available set of prefixes.")
	}
	if free, ok := firstFree(p.Prefixes, taken, bits); ok {
		return free, nil
	}
	return netip.Prefix{}, conflict("SubnetAllocationError", "Failed to allocate subnet: Insufficient prefix space to allocate subnet size /%d.", bits)
}

// firstFree finds the first prefix of a length that overlaps nothing taken. It
// tries as often as something is taken, not as there are prefixes.
func firstFree(from, taken []netip.Prefix, bits int) (netip.Prefix, bool) {
	for _, p := range from {
		if bits < p.Bits() {
			continue
		}
		for next := netip.PrefixFrom(p.Addr(), bits); p.Contains(next.Addr()); {
			i := slices.IndexFunc(taken, next.Overlaps)
			if i < 0 {
				return next, true
			}
			block := netip.PrefixFrom(next.Addr(), min(bits, taken[i].Bits())).Masked()
			after := lastOf(block).Next()
			if !after.IsValid() {
				break
			}
			next = netip.PrefixFrom(after, bits)
		}
	}
	return netip.Prefix{}, false
}

// checkPoolQuota refuses when a project would have more of a pool than the pool's
// quota: addresses of IPv4, /64s of IPv6.
func checkPoolQuota(p cloud.SubnetPool, projectID string, subnets []cloud.Subnet, bits int) error {
	if p.DefaultQuota == 0 {
		return nil
	}
	unit := 32
	if p.IPVersion == 6 {
		unit = 64
	}
	size := func(bits int) float64 {
		n := 1.0
		for ; bits < unit; bits++ {
			n *= 2
		}
		return n
	}
	total := size(bits)
	for _, sub := range subnets {
		if sub.ProjectID == projectID {
			total += size(sub.CIDR.Bits())
		}
	}
	if total > float64(p.DefaultQuota) {
		return conflict("SubnetPoolQuotaExceeded", "Per-tenant subnet pool prefix quota exceeded.")
	}
	return nil
}

// checkAffinity refuses a subnet from another pool than its network's other
// subnets of the version: a network is in one address scope.
func checkAffinity(tx *store.Tx, sub cloud.Subnet) error {
	others, err := tx.Subnets.List(store.Where(store.Eq("network_id", sub.NetworkID), store.Eq("ip_version", sub.IPVersion)))
	for _, o := range others {
		if o.SubnetPoolID != sub.SubnetPoolID && (o.SubnetPoolID != "" || sub.SubnetPoolID != "") {
			return refuse(cloud.Invalid, "NetworkSubnetPoolAffinityError", "Subnets hosted on the same network must be allocated from the same subnet pool.")
		}
	}
	return err
}
