package reconcile

import (
	"net/netip"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// groups composes the groups that ports wear, and those that their rules refer
// to, with the addresses of the ports that wear them.
func (c *composer) groups(worn map[string]bool) ([]cloud.GroupSpec, error) {
	specs := map[string]*cloud.GroupSpec{}
	remote := map[string]bool{}
	for id := range worn {
		rules, err := c.tx.SecurityRules.List(store.Where(store.Eq("group_id", id)))
		if err != nil {
			return nil, err
		}
		specs[id] = &cloud.GroupSpec{ID: id, Rules: rules}
		for _, r := range rules {
			if r.RemoteGroupID != "" {
				remote[r.RemoteGroupID] = true
			}
		}
	}
	if len(remote) > 0 {
		if err := c.members(specs, remote); err != nil {
			return nil, err
		}
	}
	out := make([]cloud.GroupSpec, 0, len(specs))
	for _, s := range specs {
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b cloud.GroupSpec) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// addressGroups composes the address groups that rules refer to.
func (c *composer) addressGroups(groups []cloud.GroupSpec) ([]cloud.AddressGroupSpec, error) {
	var ids []string
	for _, g := range groups {
		for _, r := range g.Rules {
			if r.RemoteAddressGroupID != "" {
				ids = append(ids, r.RemoteAddressGroupID)
			}
		}
	}
	slices.Sort(ids)
	var out []cloud.AddressGroupSpec
	for _, id := range slices.Compact(ids) {
		g, err := c.tx.AddressGroups.Get(id)
		if err != nil {
			return nil, err
		}
		out = append(out, cloud.AddressGroupSpec{ID: g.ID, Addresses: g.Addresses})
	}
	return out, nil
}

// members fills in whose addresses the remote groups stand for.
func (c *composer) members(specs map[string]*cloud.GroupSpec, remote map[string]bool) error {
	ports, err := c.tx.Ports.Shared(store.Query{})
	if err != nil {
		return err
	}
	for id := range remote {
		if specs[id] == nil {
			specs[id] = &cloud.GroupSpec{ID: id}
		}
	}
	for _, p := range ports {
		if p.Host == "" {
			continue // nothing sends from it yet; when it is bound, the filters change anyway
		}
		for _, g := range p.SecurityGroups {
			if !remote[g] {
				continue
			}
			for _, f := range p.FixedIPs {
				specs[g].Members = append(specs[g].Members, f.IP)
			}
		}
	}
	for id := range remote {
		slices.SortFunc(specs[id].Members, netip.Addr.Compare)
	}
	return nil
}
