package identity

import (
	"context"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

func registeredRows(tx *store.Tx) *store.Table[cloud.RegisteredLimit] { return tx.RegisteredLimits }
func limitRows(tx *store.Tx) *store.Table[cloud.Limit]                { return tx.Limits }

// RegisteredLimit gives the default of a limit; NotFound.
func (s *Service) RegisteredLimit(ctx context.Context, id string) (cloud.RegisteredLimit, error) {
	return fetch(ctx, s, registeredRows, id)
}

// RegisteredLimits lists the defaults of limits; empty fields of the filter do
// not filter.
func (s *Service) RegisteredLimits(ctx context.Context, f cloud.RegisteredLimit) ([]cloud.RegisteredLimit, error) {
	return list(ctx, s, registeredRows, store.Eq("service_id", f.ServiceID), store.Eq("region_id", f.RegionID), store.Eq("resource_name", f.ResourceName))
}

// CreateRegisteredLimits makes defaults of limits, all or none; Conflict, Invalid
// for a service or a region that is not there.
func (s *Service) CreateRegisteredLimits(ctx context.Context, in []cloud.RegisteredLimit) ([]cloud.RegisteredLimit, error) {
	return write(ctx, s, func(tx *store.Tx) ([]cloud.RegisteredLimit, error) {
		out := make([]cloud.RegisteredLimit, 0, len(in))
		for _, l := range in {
			l.ID = cloud.NewHexID()
			if err := registrable(tx, l); err != nil {
				return nil, err
			}
			if err := tx.RegisteredLimits.Insert(l); err != nil {
				return nil, err
			}
			out = append(out, l)
		}
		return out, nil
	})
}

func registrable(tx *store.Tx, l cloud.RegisteredLimit) error {
	if err := refer(tx.CatalogServices, "service", l.ServiceID, cloud.Invalid); err != nil {
		return err
	}
	return refer(tx.Regions, "region", l.RegionID, cloud.Invalid)
}

// RegisteredLimitPatch changes what is not nil.
type RegisteredLimitPatch struct {
	ServiceID, RegionID, ResourceName, Description *string
	DefaultLimit                                   *int
}

// UpdateRegisteredLimit changes the default of a limit; NotFound, Conflict,
// Forbidden to change what it is for while projects have limits by it.
func (s *Service) UpdateRegisteredLimit(ctx context.Context, id string, p RegisteredLimitPatch) (cloud.RegisteredLimit, error) {
	return amend(ctx, s, registeredRows, id, func(tx *store.Tx, l *cloud.RegisteredLimit) error {
		if p.ServiceID != nil || p.RegionID != nil || p.ResourceName != nil {
			if err := unused(tx, id); err != nil {
				return err
			}
		}
		set(&l.ServiceID, p.ServiceID)
		set(&l.RegionID, p.RegionID)
		set(&l.ResourceName, p.ResourceName)
		set(&l.Description, p.Description)
		set(&l.DefaultLimit, p.DefaultLimit)
		return registrable(tx, *l)
	})
}

func unused(tx *store.Tx, id string) error {
	n, err := tx.Limits.Count(store.Eq("registered_limit_id", id))
	if err == nil && n > 0 {
		err = cloud.E("identity.RegisteredLimit", cloud.Forbidden, "Unable to update or delete registered limit %s because there are project limits associated with it.", id)
	}
	return err
}

// DeleteRegisteredLimit removes the default of a limit; NotFound, Forbidden while
// projects have limits by it.
func (s *Service) DeleteRegisteredLimit(ctx context.Context, id string) error {
	return s.update(ctx, func(tx *store.Tx) error {
		if err := unused(tx, id); err != nil {
			return err
		}
		return tx.RegisteredLimits.Delete(id)
	})
}

// LimitOf is a limit with what it is of.
type LimitOf struct {
	cloud.Limit
	Registered cloud.RegisteredLimit
}

// LimitFilter says which limits a list holds. Empty fields do not filter.
type LimitFilter struct{ ProjectID, DomainID, ServiceID, RegionID, ResourceName string }

// Limit gives a limit; NotFound.
func (s *Service) Limit(ctx context.Context, id string) (LimitOf, error) {
	return read(ctx, s, func(tx *store.Tx) (LimitOf, error) {
		l, err := tx.Limits.Get(id)
		if err != nil {
			return LimitOf{}, err
		}
		r, err := tx.RegisteredLimits.Get(l.RegisteredLimitID)
		return LimitOf{l, r}, err
	})
}

// Limits lists limits.
func (s *Service) Limits(ctx context.Context, f LimitFilter) ([]LimitOf, error) {
	return read(ctx, s, func(tx *store.Tx) (out []LimitOf, err error) {
		all, err := tx.Limits.List(store.Query{Where: given([]store.Cond{store.Eq("project_id", f.ProjectID), store.Eq("domain_id", f.DomainID)})})
		for _, l := range all {
			r, err := tx.RegisteredLimits.Get(l.RegisteredLimitID)
			if err != nil {
				return nil, err
			}
			same := func(want, is string) bool { return want == "" || want == is }
			if same(f.ServiceID, r.ServiceID) && same(f.RegionID, r.RegionID) && same(f.ResourceName, r.ResourceName) {
				out = append(out, LimitOf{l, r})
			}
		}
		return out, err
	})
}

// CreateLimits makes limits, all or none, each by its registered limit, which is
// looked up by service, region and resource. Forbidden without one, Conflict.
func (s *Service) CreateLimits(ctx context.Context, in []LimitOf) ([]LimitOf, error) {
	return write(ctx, s, func(tx *store.Tx) ([]LimitOf, error) {
		out := make([]LimitOf, 0, len(in))
		for _, l := range in {
			r := l.Registered
			found, err := tx.RegisteredLimits.Find(store.Eq("service_id", r.ServiceID), store.Eq("region_id", r.RegionID), store.Eq("resource_name", r.ResourceName))
			if cloud.Is(err, cloud.NotFound) {
				err = cloud.E("identity.CreateLimits", cloud.Forbidden, "Unable to create a limit that has no corresponding registered limit.")
			}
			if err != nil {
				return nil, err
			}
			l.ID, l.RegisteredLimitID, l.Registered = cloud.NewHexID(), found.ID, found
			if err := limitable(tx, l.Limit); err != nil {
				return nil, err
			}
			if err := tx.Limits.Insert(l.Limit); err != nil {
				return nil, err
			}
			out = append(out, l)
		}
		return out, nil
	})
}

func limitable(tx *store.Tx, l cloud.Limit) error {
	if err := refer(tx.Projects, "project", l.ProjectID, cloud.Invalid); err != nil {
		return err
	}
	return refer(tx.Domains, "domain", l.DomainID, cloud.Invalid)
}

// UpdateLimit changes what is not nil; NotFound.
func (s *Service) UpdateLimit(ctx context.Context, id string, value *int, description *string) (LimitOf, error) {
	if _, err := amend(ctx, s, limitRows, id, func(_ *store.Tx, l *cloud.Limit) error {
		set(&l.ResourceLimit, value)
		set(&l.Description, description)
		return nil
	}); err != nil {
		return LimitOf{}, err
	}
	return s.Limit(ctx, id)
}

// DeleteLimit removes a limit; NotFound.
func (s *Service) DeleteLimit(ctx context.Context, id string) error {
	return s.update(ctx, func(tx *store.Tx) error { return tx.Limits.Delete(id) })
}
