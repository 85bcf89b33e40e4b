package schedule

import (
	"maps"
	"slices"

	"hearth/internal/cloud"
)

// options are the ways to fulfil one group in a tree.
func options(tree, sharing []Provider, g Group) []option {
	if g.InTree != "" && !slices.ContainsFunc(slices.Concat(tree, sharing), func(p Provider) bool { return p.ID == g.InTree }) {
		return nil
	}
	if g.InTree != "" && g.Suffix == "" { // all of it from that tree, shared or not
		within := func(list []Provider) (out []Provider) {
			for _, p := range list {
				if rootIs(slices.Concat(tree, sharing), p, g.InTree) {
					out = append(out, p)
				}
			}
			return out
		}
		tree, sharing = within(tree), within(sharing)
	}
	if g.Suffix != "" {
		return alone(slices.Concat(tree, sharing), g)
	}
	return spread(tree, sharing, g)
}

// alone are the providers that fulfil a group with a suffix by themselves. One
// without resources is fulfilled by any provider with its traits.
func alone(providers []Provider, g Group) (out []option) {
	for _, p := range providers {
		if !p.usable(g) || !p.traits(g.Required) || g.InTree != "" && p.Root != g.InTree && p.ID != g.InTree && !rootIs(providers, p, g.InTree) {
			continue
		}
		o := option{providers: []string{p.ID}}
		ok := true
		for _, class := range slices.Sorted(maps.Keys(g.Resources)) {
			ok = ok && p.Fits(class, g.Resources[class]) == ""
			o.claims = append(o.claims, cloud.Claim{ProviderID: p.ID, Class: class, Amount: g.Resources[class]})
		}
		if ok {
			out = append(out, o)
		}
	}
	return out
}

// rootIs tells whether a provider is in the tree of another.
func rootIs(providers []Provider, p Provider, id string) bool {
	return slices.ContainsFunc(providers, func(q Provider) bool { return q.ID == id && q.Root == p.Root })
}

// usable tells whether a provider may give anything to a group: by its aggregates,
// and by the traits that are forbidden.
func (p Provider) usable(g Group) bool { return !p.forbidden(g) && p.within(g) && !p.outside(g) }

// forbidden tells whether the provider has a trait that the group forbids.
func (p Provider) forbidden(g Group) bool {
	return slices.ContainsFunc(g.Forbidden, func(t string) bool { return slices.Contains(p.Traits, t) })
}

// within tells whether the provider is in an aggregate of each list.
func (p Provider) within(g Group) bool {
	return !slices.ContainsFunc(g.MemberOf, func(any []string) bool {
		return !slices.ContainsFunc(any, func(a string) bool { return slices.Contains(p.Aggregates, a) })
	})
}

// outside tells whether the provider is in an aggregate that the group forbids.
func (p Provider) outside(g Group) bool {
	return slices.ContainsFunc(g.NotMemberOf, func(a string) bool { return slices.Contains(p.Aggregates, a) })
}

// traits tells whether the provider has one of each list.
func (p Provider) traits(required [][]string) bool {
	return hasTraits(p.Traits, required)
}

func hasTraits(have []string, required [][]string) bool {
	for _, any := range required {
		if !slices.ContainsFunc(any, func(t string) bool { return slices.Contains(have, t) }) {
			return false
		}
	}
	return true
}

// spread are the ways to fulfil the group without a suffix: for every class any
// provider of the tree, or one that shares with it; the traits are of those
// providers together. A group of traits alone is fulfilled by a tree that has
// them.
func spread(tree, sharing []Provider, g Group) []option {
	all := slices.Concat(member(tree, g), member(sharing, g))
	if len(g.Resources) == 0 {
		for _, p := range all {
			if p.traits(g.Required) {
				return []option{{providers: []string{p.ID}}}
			}
		}
		return nil
	}
	ways := []option{{}}
	for _, class := range slices.Sorted(maps.Keys(g.Resources)) {
		var next []option
		for _, way := range ways {
			for _, p := range all {
				if p.Fits(class, g.Resources[class]) == "" && len(next) < mostOptions {
					next = append(next, way.with(p.ID, cloud.Claim{ProviderID: p.ID, Class: class, Amount: g.Resources[class]}))
				}
			}
		}
		ways = next
	}
	return slices.DeleteFunc(ways, func(o option) bool {
		var have []string
		for _, p := range all {
			if slices.Contains(o.providers, p.ID) {
				have = append(have, p.Traits...)
			}
		}
		return !hasTraits(have, g.Required)
	})
}

// member keeps the providers that may give to a group without a suffix. What a
// tree's top is a member of, all of the tree are (placement's guide, "Filtering by
// Aggregates"): so the provider or its top is to be in the aggregates that are
// required, and neither of them in one that is forbidden.
func member(providers []Provider, g Group) (out []Provider) {
	tops := map[string]Provider{}
	for _, p := range providers {
		if p.ID == p.Root {
			tops[p.Root] = p
		}
	}
	for _, p := range providers {
		top, ok := tops[p.Root]
		if !ok {
			top = p
		}
		if !p.forbidden(g) && (p.within(g) || top.within(g)) && !p.outside(g) && !top.outside(g) {
			out = append(out, p)
		}
	}
	return out
}

func (o option) with(id string, c cloud.Claim) option {
	n := option{claims: append(slices.Clone(o.claims), c), providers: slices.Clone(o.providers)}
	if !slices.Contains(n.providers, id) {
		n.providers = append(n.providers, id)
	}
	return n
}
