package identity

import (
	"context"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

func serviceRows(tx *store.Tx) *store.Table[cloud.CatalogService]   { return tx.CatalogServices }
func endpointRows(tx *store.Tx) *store.Table[cloud.CatalogEndpoint] { return tx.CatalogEndpoints }
func regionRows(tx *store.Tx) *store.Table[cloud.Region]            { return tx.Regions }

// CatalogService gives a service; NotFound.
func (s *Service) CatalogService(ctx context.Context, id string) (cloud.CatalogService, error) {
	return fetch(ctx, s, serviceRows, id)
}

// CatalogServices lists services, of a type and a name if they are not "".
func (s *Service) CatalogServices(ctx context.Context, typ, name string) ([]cloud.CatalogService, error) {
	return list(ctx, s, serviceRows, store.Eq("type", typ), store.Eq("name", name))
}

// CreateCatalogService makes a service.
func (s *Service) CreateCatalogService(ctx context.Context, v cloud.CatalogService) (cloud.CatalogService, error) {
	v.ID = cloud.NewHexID()
	return v, s.update(ctx, func(tx *store.Tx) error { return tx.CatalogServices.Insert(v) })
}

// ServicePatch changes what is not nil. Of Extra a nil value takes the attribute
// away.
type ServicePatch struct {
	Type, Name, Description *string
	Enabled                 *bool
	Extra                   map[string]any
}

// UpdateCatalogService changes a service; NotFound.
func (s *Service) UpdateCatalogService(ctx context.Context, id string, p ServicePatch) (cloud.CatalogService, error) {
	return amend(ctx, s, serviceRows, id, func(_ *store.Tx, v *cloud.CatalogService) error {
		set(&v.Type, p.Type)
		set(&v.Name, p.Name)
		set(&v.Description, p.Description)
		set(&v.Enabled, p.Enabled)
		v.Extra = merge(v.Extra, p.Extra)
		return nil
	})
}

// DeleteCatalogService removes a service with its endpoints; NotFound.
func (s *Service) DeleteCatalogService(ctx context.Context, id string) error {
	return s.update(ctx, func(tx *store.Tx) error {
		ends, err := tx.CatalogEndpoints.List(store.Where(store.Eq("service_id", id)))
		if err != nil {
			return err
		}
		for _, e := range ends {
			if err := deleteEndpoint(tx, e.ID); err != nil {
				return err
			}
		}
		if err := dropAssociations(tx, func(a cloud.PolicyAssociation) bool { return a.ServiceID == id }); err != nil {
			return err
		}
		return tx.CatalogServices.Delete(id)
	})
}

// CatalogEndpoint gives an endpoint; NotFound.
func (s *Service) CatalogEndpoint(ctx context.Context, id string) (cloud.CatalogEndpoint, error) {
	return fetch(ctx, s, endpointRows, id)
}

// CatalogEndpoints lists endpoints, of a service, an interface and a region if
// they are not "".
func (s *Service) CatalogEndpoints(ctx context.Context, serviceID, face, regionID string) ([]cloud.CatalogEndpoint, error) {
	return list(ctx, s, endpointRows, store.Eq("service_id", serviceID), store.Eq("interface", face), store.Eq("region_id", regionID))
}

// CreateEndpoint makes an endpoint; Invalid for a service or a region that is not
// there. With newRegion the region is made if need be (the old name "region" of
// the API means that).
func (s *Service) CreateEndpoint(ctx context.Context, v cloud.CatalogEndpoint, newRegion bool) (cloud.CatalogEndpoint, error) {
	v.ID = cloud.NewHexID()
	return v, s.update(ctx, func(tx *store.Tx) error {
		if err := placed(tx, v, newRegion); err != nil {
			return err
		}
		return tx.CatalogEndpoints.Insert(v)
	})
}

// placed looks for what an endpoint names.
func placed(tx *store.Tx, v cloud.CatalogEndpoint, newRegion bool) error {
	if err := refer(tx.CatalogServices, "service", v.ServiceID, cloud.Invalid); err != nil {
		return err
	}
	err := refer(tx.Regions, "region", v.RegionID, cloud.Invalid)
	if newRegion && cloud.Is(err, cloud.Invalid) {
		return tx.Regions.Insert(cloud.Region{ID: v.RegionID})
	}
	return err
}

// EndpointPatch changes what is not nil. Of Extra a nil value takes the attribute
// away.
type EndpointPatch struct {
	ServiceID, Interface, RegionID, URL, Name, Description *string
	Enabled                                                *bool
	NewRegion                                              bool // make the region if need be
	Extra                                                  map[string]any
}

// UpdateEndpoint changes an endpoint; NotFound, Invalid as for CreateEndpoint.
func (s *Service) UpdateEndpoint(ctx context.Context, id string, p EndpointPatch) (cloud.CatalogEndpoint, error) {
	return amend(ctx, s, endpointRows, id, func(tx *store.Tx, v *cloud.CatalogEndpoint) error {
		set(&v.ServiceID, p.ServiceID)
		set(&v.Interface, p.Interface)
		set(&v.RegionID, p.RegionID)
		set(&v.URL, p.URL)
		set(&v.Name, p.Name)
		set(&v.Description, p.Description)
		set(&v.Enabled, p.Enabled)
		v.Extra = merge(v.Extra, p.Extra)
		return placed(tx, *v, p.NewRegion)
	})
}

// DeleteEndpoint removes an endpoint; NotFound.
func (s *Service) DeleteEndpoint(ctx context.Context, id string) error {
	return s.update(ctx, func(tx *store.Tx) error { return deleteEndpoint(tx, id) })
}

func deleteEndpoint(tx *store.Tx, id string) error {
	if _, err := tx.EndpointLinks.DeleteWhere(store.Eq("target", id)); err != nil {
		return err
	}
	if err := dropAssociations(tx, func(a cloud.PolicyAssociation) bool { return a.EndpointID == id }); err != nil {
		return err
	}
	return tx.CatalogEndpoints.Delete(id)
}

// CatalogRegion gives a region; NotFound.
func (s *Service) CatalogRegion(ctx context.Context, id string) (cloud.Region, error) {
	return fetch(ctx, s, regionRows, id)
}

// CatalogRegions lists regions, those inside of another if it is not "".
func (s *Service) CatalogRegions(ctx context.Context, parentID string) ([]cloud.Region, error) {
	return list(ctx, s, regionRows, store.Eq("parent_id", parentID))
}

// CreateRegion makes a region; Conflict for an id that is taken, NotFound for a
// parent that is not there.
func (s *Service) CreateRegion(ctx context.Context, v cloud.Region) (cloud.Region, error) {
	if v.ID == "" {
		v.ID = cloud.NewHexID()
	}
	return v, s.update(ctx, func(tx *store.Tx) error {
		if err := refer(tx.Regions, "region", v.ParentID, cloud.NotFound); err != nil {
			return err
		}
		err := tx.Regions.Insert(v)
		if cloud.Is(err, cloud.Conflict) {
			return cloud.E("identity.CreateRegion", cloud.Conflict, "Conflict occurred attempting to store region - Duplicate ID, %s.", v.ID)
		}
		return err
	})
}

// RegionPatch changes what is not nil. Of Extra a nil value takes the attribute
// away.
type RegionPatch struct {
	Description, ParentID *string
	Extra                 map[string]any
}

// UpdateRegion changes a region; NotFound, Invalid for one inside of itself.
func (s *Service) UpdateRegion(ctx context.Context, id string, p RegionPatch) (cloud.Region, error) {
	return amend(ctx, s, regionRows, id, func(tx *store.Tx, v *cloud.Region) error {
		set(&v.Description, p.Description)
		set(&v.ParentID, p.ParentID)
		v.Extra = merge(v.Extra, p.Extra)
		if err := refer(tx.Regions, "region", v.ParentID, cloud.NotFound); err != nil {
			return err
		}
		return circle(tx, *v)
	})
}

// circle refuses a region that is above itself.
func circle(tx *store.Tx, v cloud.Region) error {
	seen := []string{v.ID}
	for id := v.ParentID; id != ""; {
		if slices.Contains(seen, id) {
			return cloud.E("identity.UpdateRegion", cloud.Invalid, "Unable to delete or update region %[1]s: it would be inside of itself by way of %[2]s.", v.ID, id)
		}
		seen = append(seen, id)
		up, err := tx.Regions.Get(id)
		if err != nil {
			return err
		}
		id = up.ParentID
	}
	return nil
}

// DeleteRegion removes a region; Forbidden while endpoints or regions are in it.
func (s *Service) DeleteRegion(ctx context.Context, id string) error {
	return s.update(ctx, func(tx *store.Tx) error {
		ends, err := tx.CatalogEndpoints.Count(store.Eq("region_id", id))
		if err != nil {
			return err
		}
		if ends > 0 {
			return cloud.E("identity.DeleteRegion", cloud.Forbidden, "Unable to delete region %s because it or its child regions have associated endpoints.", id)
		}
		inside, err := tx.Regions.List(store.Where(store.Eq("parent_id", id)))
		if err == nil && len(inside) > 0 {
			err = cloud.E("identity.DeleteRegion", cloud.Forbidden, "Unable to delete region %s because other regions are inside of it.", id)
		}
		if err != nil {
			return err
		}
		if err := dropAssociations(tx, func(a cloud.PolicyAssociation) bool { return a.RegionID == id }); err != nil {
			return err
		}
		return tx.Regions.Delete(id)
	})
}
