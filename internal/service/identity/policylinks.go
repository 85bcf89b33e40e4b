package identity

import (
	"context"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// linkedTo wants everything to be there that an association names; NotFound.
func linkedTo(tx *store.Tx, a cloud.PolicyAssociation) error {
	if err := refer(tx.PolicyBlobs, "policy", a.PolicyID, cloud.NotFound); err != nil {
		return err
	}
	if err := refer(tx.CatalogEndpoints, "endpoint", a.EndpointID, cloud.NotFound); err != nil {
		return err
	}
	if err := refer(tx.CatalogServices, "service", a.ServiceID, cloud.NotFound); err != nil {
		return err
	}
	return refer(tx.Regions, "region", a.RegionID, cloud.NotFound)
}

// Associate makes a policy the one of an endpoint or a service, in the place of the
// one before; NotFound.
func (s *Service) Associate(ctx context.Context, a cloud.PolicyAssociation) error {
	return s.update(ctx, func(tx *store.Tx) error {
		if err := linkedTo(tx, a); err != nil {
			return err
		}
		return tx.PolicyLinks.Put(a)
	})
}

// Associated is nil for an association that is there; NotFound.
func (s *Service) Associated(ctx context.Context, a cloud.PolicyAssociation) error {
	return s.view(ctx, func(tx *store.Tx) error { return associated(tx, a) })
}

func associated(tx *store.Tx, a cloud.PolicyAssociation) error {
	if err := linkedTo(tx, a); err != nil {
		return err
	}
	is, err := tx.PolicyLinks.Get(a.Key())
	if cloud.Is(err, cloud.NotFound) || err == nil && is.PolicyID != a.PolicyID {
		return cloud.E("identity.Associated", cloud.NotFound, "Could not find policy association.")
	}
	return err
}

// Dissociate takes an association away; NotFound.
func (s *Service) Dissociate(ctx context.Context, a cloud.PolicyAssociation) error {
	return s.update(ctx, func(tx *store.Tx) error {
		if err := associated(tx, a); err != nil {
			return err
		}
		return tx.PolicyLinks.Delete(a.Key())
	})
}

// PolicyEndpoints are the endpoints that associations of a policy are for: their own,
// their service's, their service's in their region or one around it; NotFound.
func (s *Service) PolicyEndpoints(ctx context.Context, policyID string) ([]cloud.CatalogEndpoint, error) {
	return read(ctx, s, func(tx *store.Tx) ([]cloud.CatalogEndpoint, error) {
		if err := refer(tx.PolicyBlobs, "policy", policyID, cloud.NotFound); err != nil {
			return nil, err
		}
		links, err := tx.PolicyLinks.List(store.Where(store.Eq("policy_id", policyID)))
		if err != nil {
			return nil, err
		}
		ends, err := tx.CatalogEndpoints.List(store.Query{})
		if err != nil {
			return nil, err
		}
		var out []cloud.CatalogEndpoint
		for _, e := range ends {
			keys, err := associationsOf(tx, e)
			if err != nil {
				return nil, err
			}
			if meets(links, keys) {
				out = append(out, e)
			}
		}
		return out, nil
	})
}

// meets tells whether a link is one of those with the keys.
func meets(links []cloud.PolicyAssociation, keys []string) bool {
	for _, l := range links {
		for _, k := range keys {
			if l.Key() == k {
				return true
			}
		}
	}
	return false
}

// associationsOf are the keys of the associations that an endpoint's policy is looked
// for in, the nearest first: its own, its service's in its region and those around
// it, its service's.
func associationsOf(tx *store.Tx, e cloud.CatalogEndpoint) ([]string, error) {
	keys := []string{cloud.PolicyAssociation{EndpointID: e.ID}.Key()}
	seen := map[string]bool{}
	for region := e.RegionID; region != "" && !seen[region]; {
		seen[region] = true
		keys = append(keys, cloud.PolicyAssociation{ServiceID: e.ServiceID, RegionID: region}.Key())
		r, err := tx.Regions.Get(region)
		if err != nil {
			return nil, err
		}
		region = r.ParentID
	}
	return append(keys, cloud.PolicyAssociation{ServiceID: e.ServiceID}.Key()), nil
}

// EndpointPolicy is the policy that holds for an endpoint; NotFound.
func (s *Service) EndpointPolicy(ctx context.Context, endpointID string) (cloud.PolicyBlob, error) {
	return read(ctx, s, func(tx *store.Tx) (p cloud.PolicyBlob, err error) {
		if err := refer(tx.CatalogEndpoints, "endpoint", endpointID, cloud.NotFound); err != nil {
			return p, err
		}
		e, err := tx.CatalogEndpoints.Get(endpointID)
		if err != nil {
			return p, err
		}
		keys, err := associationsOf(tx, e)
		if err != nil {
			return p, err
		}
		for _, key := range keys {
			link, err := tx.PolicyLinks.Get(key)
			if err == nil {
				return tx.PolicyBlobs.Get(link.PolicyID)
			}
			if !cloud.Is(err, cloud.NotFound) {
				return p, err
			}
		}
		return p, cloud.E("identity.EndpointPolicy", cloud.NotFound, "No policy is associated with endpoint %s.", endpointID)
	})
}

// dropAssociations takes the associations away that something deleted was in.
func dropAssociations(tx *store.Tx, in func(cloud.PolicyAssociation) bool) error {
	links, err := tx.PolicyLinks.List(store.Query{})
	for _, l := range links {
		if err == nil && in(l) {
			err = tx.PolicyLinks.Delete(l.Key())
		}
	}
	return err
}
