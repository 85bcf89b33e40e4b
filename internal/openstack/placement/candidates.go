package placement

import (
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/schedule"
)

func (a *api) candidates(r *wire.Request) (*wire.Response, error) {
	ask, limit, err := askOf(r)
	if err != nil {
		return nil, err
	}
	nested := r.Version.AtLeast(29)
	most := limit
	if !nested {
		most = 0 // some fall out first
	}
	list, all, err := a.svc.Candidates(r.Context(), ask, most)
	if err != nil {
		return nil, err
	}
	byID := map[string]schedule.Provider{}
	for _, p := range all {
		byID[p.ID] = p
	}
	if !nested {
		list = slices.DeleteFunc(list, func(c schedule.Candidate) bool { return branched(byID, c) })
	}
	if limit > 0 && len(list) > limit {
		list = list[:limit]
	}
	requests := make([]wire.M, len(list))
	for i, c := range list {
		requests[i] = requestView(r, c)
	}
	return wire.JSON(wire.M{"allocation_requests": requests, "provider_summaries": summaries(r, ask, list, all, byID)}), nil
}

// branched tells whether a candidate claims of several providers of one tree:
// clients of before 1.29 know no trees.
func branched(byID map[string]schedule.Provider, c schedule.Candidate) bool {
	of := map[string]string{}
	for _, claim := range c.Claims {
		root := byID[claim.ProviderID].Root
		if other, ok := of[root]; ok && other != claim.ProviderID {
			return true
		}
		of[root] = claim.ProviderID
	}
	return false
}

// requestView is a candidate as the body of the claim that takes it.
func requestView(r *wire.Request, c schedule.Candidate) wire.M {
	if !r.Version.AtLeast(12) {
		list := []wire.M{}
		for _, id := range providersOf(c.Claims) {
			list = append(list, wire.M{"resource_provider": wire.M{"uuid": id}, "resources": resourcesView(c.Claims, id)})
		}
		return wire.M{"allocations": list}
	}
	claims := wire.M{}
	for _, id := range providersOf(c.Claims) {
		claims[id] = wire.M{"resources": resourcesView(c.Claims, id)}
	}
	m := wire.M{"allocations": claims}
	if r.Version.AtLeast(34) {
		m["mappings"] = c.Mappings
	}
	return m
}

// providersOf are the providers of claims, each once.
func providersOf(claims []cloud.Claim) (ids []string) {
	for _, c := range claims {
		if !slices.Contains(ids, c.ProviderID) {
			ids = append(ids, c.ProviderID)
		}
	}
	return ids
}

// resourcesView are the claims of one provider by class.
func resourcesView(claims []cloud.Claim, id string) map[string]int {
	m := map[string]int{}
	for _, c := range claims {
		if c.ProviderID == id {
			m[c.Class] += c.Amount
		}
	}
	return m
}

// summaries say what the providers of the candidates have, from 1.29 on also the
// others in their trees.
func summaries(r *wire.Request, ask schedule.Ask, list []schedule.Candidate, all []schedule.Provider, byID map[string]schedule.Provider) wire.M {
	asked, ids, trees := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, g := range ask.Groups {
		for class := range g.Resources {
			asked[class] = true
		}
	}
	for _, c := range list {
		for _, list := range c.Mappings {
			for _, id := range list {
				ids[id], trees[byID[id].Root] = true, true
			}
		}
	}
	out := wire.M{}
	for _, p := range all {
		if !ids[p.ID] && !(r.Version.AtLeast(29) && trees[p.Root]) {
			continue
		}
		resources := wire.M{}
		for class, i := range p.Inventories {
			if r.Version.AtLeast(27) || asked[class] {
				resources[class] = wire.M{"capacity": i.Capacity(), "used": p.Used[class]}
			}
		}
		m := wire.M{"resources": resources}
		if r.Version.AtLeast(17) {
			m["traits"] = orNone(p.Traits)
		}
		if r.Version.AtLeast(29) {
			m["root_provider_uuid"], m["parent_provider_uuid"] = p.Root, nil
			if p.ParentID != "" {
				m["parent_provider_uuid"] = p.ParentID
			}
		}
		out[p.ID] = m
	}
	return out
}
