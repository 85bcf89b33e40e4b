package network

import (
	"context"
	"math/big"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// SubnetUse is how many addresses a subnet has to give, and has given.
type SubnetUse struct {
	cloud.Subnet
	Total *big.Int // an IPv6 subnet has more than an int holds
	Used  int
}

// NetworkUse is the same of a network.
type NetworkUse struct {
	cloud.Network
	Subnets []SubnetUse
}

// Total and Used are the sums over the subnets.
func (u NetworkUse) Total() *big.Int {
	sum := new(big.Int)
	for _, sub := range u.Subnets {
		sum.Add(sum, sub.Total)
	}
	return sum
}

// Used is the sum over the subnets.
func (u NetworkUse) Used() int {
	sum := 0
	for _, sub := range u.Subnets {
		sum += sub.Used
	}
	return sum
}

// IPAvailability counts the addresses of networks, of one IP version or, with 0,
// of both.
func (s *Service) IPAvailability(ctx context.Context, c cloud.Caller, f Filter, version int) ([]NetworkUse, error) {
	return view(ctx, s, func(tx *store.Tx) ([]NetworkUse, error) {
		rows, err := tx.Networks.List(byAge(in(nil, "id", f.IDs)))
		rows, err = keep(rows, err, func(n cloud.Network) bool { return c.Owns(n.ProjectID) })
		if err != nil {
			return nil, err
		}
		out := make([]NetworkUse, len(rows))
		for i, n := range rows {
			out[i].Network = n
			if out[i].Subnets, err = subnetUses(tx, n.ID, version); err != nil {
				return nil, err
			}
		}
		return out, nil
	})
}

func subnetUses(tx *store.Tx, networkID string, version int) ([]SubnetUse, error) {
	subnets, err := tx.Subnets.List(byAge([]store.Cond{store.Eq("network_id", networkID)}))
	if err != nil {
		return nil, err
	}
	var out []SubnetUse
	for _, sub := range subnets {
		if version != 0 && sub.IPVersion != version {
			continue
		}
		used, err := tx.Allocations.Count(store.Eq("subnet_id", sub.ID))
		if err != nil {
			return nil, err
		}
		out = append(out, SubnetUse{Subnet: sub, Total: addresses(sub), Used: used})
	}
	return out, nil
}

// addresses counts what a subnet's pools hold.
func addresses(sub cloud.Subnet) *big.Int {
	sum := new(big.Int)
	for _, r := range sub.Pools {
		first, last := new(big.Int).SetBytes(r.Start.AsSlice()), new(big.Int).SetBytes(r.End.AsSlice())
		sum.Add(sum, last.Sub(last, first).Add(last, big.NewInt(1)))
	}
	return sum
}
