package placement

import (
	"context"
	"maps"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/schedule"
)

// room refuses an inventory of which nothing could ever be claimed. From
// microversion 1.26 on all of it may be reserved (full).
func room(op, verb, id, class string, i cloud.Inventory, full bool) error {
	capacity := float64(i.Total-i.Reserved) * i.Ratio
	switch {
	case full && capacity < 0:
		return cloud.E(op, cloud.Invalid, "Unable to %s inventory for resource provider %s: Invalid inventory for '%s' on resource provider '%s'. The reserved value is greater than total.", verb, id, class, id)
	case !full && int(capacity) <= 0:
		return cloud.E(op, cloud.Invalid, "Unable to %s inventory for resource provider %s: Invalid inventory for '%s' on resource provider '%s'. The reserved value is greater than or equal to total.", verb, id, class, id)
	}
	return nil
}

// SetInventories replaces what a provider has. What a host reports of itself stays
// with its total: a client changes its ratio, its reserve and its units.
func (s *Service) SetInventories(ctx context.Context, id string, generation *int64, set map[string]cloud.Inventory, full bool) (schedule.Provider, error) {
	const op = "placement.SetInventories"
	return s.change(ctx, op, id, generation, func(w world, p schedule.Provider, row *cloud.ResourceProvider) error {
		return w.setInventories(op, p, row, set, full)
	})
}

func (w world) setInventories(op string, p schedule.Provider, row *cloud.ResourceProvider, set map[string]cloud.Inventory, full bool) error {
	for class, i := range set {
		if !slices.Contains(w.names.classes, class) {
			return cloud.E(op, cloud.Invalid, "Unknown resource class in inventory for resource provider %s: No such resource class %s.", p.ID, class)
		}
		if err := room(op, "update", p.ID, class, i, full); err != nil {
			return err
		}
	}
	for _, class := range slices.Sorted(maps.Keys(p.Used)) {
		if _, stays := set[class]; p.Used[class] > 0 && !stays && !reported(p, class) {
			return problem(op, cloud.Conflict, CodeInventoryUse, "update conflict: Inventory for '"+class+"' on resource provider '"+p.ID+"' in use.")
		}
	}
	row.Inventories = maps.Clone(set)
	return nil
}

// reported tells whether a class is one that a host reports of itself.
func reported(p schedule.Provider, class string) bool {
	return p.Host != "" && (class == cloud.ClassVCPU || class == cloud.ClassMemory || class == cloud.ClassDisk)
}

// SetInventory adds an inventory (fresh: Conflict when there is one) or changes
// one (Invalid when there is none).
func (s *Service) SetInventory(ctx context.Context, id string, generation *int64, class string, i cloud.Inventory, fresh, full bool) (schedule.Provider, error) {
	const op = "placement.SetInventory"
	return s.change(ctx, op, id, generation, func(w world, p schedule.Provider, row *cloud.ResourceProvider) error {
		_, there := p.Inventories[class]
		switch {
		case !slices.Contains(w.names.classes, class):
			return cloud.E(op, cloud.Invalid, "Unable to create inventory for resource provider %s: No such resource class %s.", id, class)
		case fresh && there:
			return problem(op, cloud.Conflict, CodeConcurrent, "Update conflict: there is an inventory of "+class+" already.")
		case !fresh && !there:
			return cloud.E(op, cloud.Invalid, "No inventory record with resource class for resource provider %s: Inventory for class %s does not exist.", id, class)
		}
		verb := "update"
		if fresh {
			verb = "create"
		}
		if err := room(op, verb, id, class, i, full); err != nil {
			return err
		}
		row.Inventories = maps.Clone(row.Inventories)
		if row.Inventories == nil {
			row.Inventories = map[string]cloud.Inventory{}
		}
		row.Inventories[class] = i
		return nil
	})
}

// DeleteInventory takes a class away; NotFound, Conflict when it is claimed or
// what a host reports of itself.
func (s *Service) DeleteInventory(ctx context.Context, id, class string) error {
	const op = "placement.DeleteInventory"
	_, err := s.change(ctx, op, id, nil, func(_ world, p schedule.Provider, row *cloud.ResourceProvider) error {
		_, there := p.Inventories[class]
		_, said := row.Inventories[class]
		switch {
		case !there:
			return cloud.E(op, cloud.NotFound, "No inventory of class %s found for delete: No inventory of class %s for %s", class, class, id)
		case reported(p, class) && !said:
			return problem(op, cloud.Conflict, CodeInventoryUse, "Unable to delete inventory of class "+class+": the host "+p.Host+" reports it.")
		case p.Used[class] > 0 && !reported(p, class):
			return problem(op, cloud.Conflict, CodeConcurrent, "Unable to delete inventory of class "+class+": Inventory for '"+class+"' on resource provider '"+id+"' in use.")
		}
		row.Inventories = maps.Clone(row.Inventories)
		delete(row.Inventories, class)
		return nil
	})
	return err
}
