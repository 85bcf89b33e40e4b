package compute

import (
	"context"
	"maps"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// CreateFlavor adds a flavor. An id of "" or "auto" is made up. Conflict when
// the id or the name is taken.
func (s *Service) CreateFlavor(ctx context.Context, f cloud.Flavor) (cloud.Flavor, error) {
	const op = "compute.CreateFlavor"
	if f.ID == "" || f.ID == "auto" {
		f.ID = cloud.NewID()
	}
	f.CreatedAt = s.clock.Now()
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		if n, err := tx.Flavors.Count(store.Eq("name", f.Name)); err != nil || n > 0 {
			return orConflict(err, op, "Flavor with name %s already exists.", f.Name)
		}
		if _, err := tx.Flavors.Get(f.ID); !cloud.Is(err, cloud.NotFound) {
			return orConflict(err, op, "Flavor with ID %s already exists.", f.ID)
		}
		return tx.Flavors.Insert(f)
	})
	return f, err
}

// orConflict is err, or without one a Conflict.
func orConflict(err error, op, format string, args ...any) error {
	if err != nil {
		return err
	}
	return cloud.E(op, cloud.Conflict, format, args...)
}

// changeFlavor changes a flavor in a transaction.
func (s *Service) changeFlavor(ctx context.Context, op, id string, change func(f *cloud.Flavor) error) (f cloud.Flavor, err error) {
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		if f, err = tx.Flavors.Get(id); err != nil {
			if cloud.Is(err, cloud.NotFound) {
				return noFlavor(op, id)
			}
			return err
		}
		if err := change(&f); err != nil {
			return err
		}
		return tx.Flavors.Update(f)
	})
	return f, err
}

// DescribeFlavor sets a flavor's description.
func (s *Service) DescribeFlavor(ctx context.Context, id, description string) (cloud.Flavor, error) {
	return s.changeFlavor(ctx, "compute.DescribeFlavor", id, func(f *cloud.Flavor) error {
		f.Description = description
		return nil
	})
}

// DeleteFlavor removes a flavor. Servers keep the size they were made with.
func (s *Service) DeleteFlavor(ctx context.Context, id string) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		err := tx.Flavors.Delete(id)
		if cloud.Is(err, cloud.NotFound) {
			return noFlavor("compute.DeleteFlavor", id)
		}
		return err
	})
}

// SetFlavorSpecs adds extra specs to a flavor, or replaces those of the same name.
func (s *Service) SetFlavorSpecs(ctx context.Context, id string, specs map[string]string) (cloud.Flavor, error) {
	return s.changeFlavor(ctx, "compute.SetFlavorSpecs", id, func(f *cloud.Flavor) error {
		all := maps.Clone(f.ExtraSpecs)
		if all == nil {
			all = map[string]string{}
		}
		maps.Copy(all, specs)
		f.ExtraSpecs = all
		return nil
	})
}

// NoSpec says that a flavor has no such extra spec.
func NoSpec(op, id, name string) error {
	return cloud.E(op, cloud.NotFound, "Flavor %s has no extra specs with key %s.", id, name)
}

// DeleteFlavorSpec removes an extra spec.
func (s *Service) DeleteFlavorSpec(ctx context.Context, id, name string) error {
	const op = "compute.DeleteFlavorSpec"
	_, err := s.changeFlavor(ctx, op, id, func(f *cloud.Flavor) error {
		if _, ok := f.ExtraSpecs[name]; !ok {
			return NoSpec(op, id, name)
		}
		f.ExtraSpecs = maps.Clone(f.ExtraSpecs)
		delete(f.ExtraSpecs, name)
		return nil
	})
	return err
}

// FlavorAccess lists the projects that may use a private flavor; NotFound for a
// public one, which has no list.
func (s *Service) FlavorAccess(ctx context.Context, c cloud.Caller, id string) ([]string, error) {
	f, err := s.Flavor(ctx, c, id)
	if err == nil && f.Public {
		err = cloud.E("compute.FlavorAccess", cloud.NotFound, "Access list not available for public flavors.")
	}
	return f.Projects, err
}

// AddFlavorAccess lets a project use a private flavor. For a public one it is a
// Conflict when strict (from microversion 2.7), and else noted for the day when
// it is no longer public.
func (s *Service) AddFlavorAccess(ctx context.Context, id, project string, strict bool) ([]string, error) {
	const op = "compute.AddFlavorAccess"
	f, err := s.changeFlavor(ctx, op, id, func(f *cloud.Flavor) error {
		switch {
		case f.Public && strict:
			return cloud.E(op, cloud.Conflict, "Can not add access to a public flavor.")
		case slices.Contains(f.Projects, project):
			return cloud.E(op, cloud.Conflict, "Flavor access already exists for flavor %s and project %s combination.", id, project)
		}
		f.Projects = append(slices.Clone(f.Projects), project)
		return nil
	})
	return f.Projects, err
}

// RemoveFlavorAccess takes a project off the list.
func (s *Service) RemoveFlavorAccess(ctx context.Context, id, project string) ([]string, error) {
	const op = "compute.RemoveFlavorAccess"
	f, err := s.changeFlavor(ctx, op, id, func(f *cloud.Flavor) error {
		if !slices.Contains(f.Projects, project) {
			return cloud.E(op, cloud.NotFound, "Flavor access not found for %s / %s combination.", id, project)
		}
		f.Projects = slices.DeleteFunc(slices.Clone(f.Projects), func(p string) bool { return p == project })
		return nil
	})
	return f.Projects, err
}
