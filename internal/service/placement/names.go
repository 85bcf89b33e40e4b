package placement

import (
	"context"
	_ "embed" // the lists of names
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/schedule"
	"hearth/internal/store"
)

// The names that all placements know: those of os-traits and os-resource-classes.
var (
	//go:embed names/traits.txt
	standardTraits string
	//go:embed names/classes.txt
	standardClasses string
)

// The kinds of names.
const (
	KindTrait = "trait"
	KindClass = "class"
)

// names are all traits and classes there are: the standard ones and the clients'.
type names struct{ traits, classes []string }

func namesTx(tx *store.Tx) (n names, err error) {
	n.traits, n.classes = strings.Fields(standardTraits), strings.Fields(standardClasses)
	own, err := tx.PlacementNames.List(store.Query{})
	for _, name := range own {
		if name.Kind == KindTrait {
			n.traits = append(n.traits, name.Name)
		} else {
			n.classes = append(n.classes, name.Name)
		}
	}
	return n, err
}

func (n names) of(kind string) []string {
	if kind == KindTrait {
		return n.traits
	}
	return n.classes
}

// check refuses traits and classes that there are not.
func (n names) check(op string, g schedule.Group) error {
	for class := range g.Resources {
		if !slices.Contains(n.classes, class) {
			return cloud.E(op, cloud.Invalid, "Invalid resource class in resources parameter: No such resource class %s.", class)
		}
	}
	for _, t := range slices.Concat(append(g.Required, g.Forbidden)...) {
		if !slices.Contains(n.traits, t) {
			return cloud.E(op, cloud.Invalid, "No such trait(s): %s.", t)
		}
	}
	return nil
}

// Names lists the traits or the classes.
func (s *Service) Names(ctx context.Context, kind string) (list []string, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		n, err := namesTx(tx)
		list = n.of(kind)
		return err
	})
	return list, err
}

// UsedTraits lists the traits that some provider has.
func (s *Service) UsedTraits(ctx context.Context) (list []string, err error) {
	err = s.view(ctx, func(_ *store.Tx, w world) error {
		for _, p := range w.fleet.Providers {
			list = append(list, p.Traits...)
		}
		slices.Sort(list)
		list = slices.Compact(list)
		return nil
	})
	return list, err
}

// AddName makes a custom name, unless it is there: made tells which.
func (s *Service) AddName(ctx context.Context, kind, name string) (made bool, err error) {
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		n, err := namesTx(tx)
		if made = err == nil && !slices.Contains(n.of(kind), name); !made {
			return err
		}
		return tx.PlacementNames.Insert(cloud.PlacementName{Kind: kind, Name: name, CreatedAt: s.clock.Now()})
	})
	return made, err
}

// noName says that a name is not there.
func noName(op, kind, name string) error {
	if kind == KindTrait {
		return cloud.E(op, cloud.NotFound, "No such trait(s): %s.", name)
	}
	return cloud.E(op, cloud.NotFound, "No such resource class %s.", name)
}

// HasName is nil for a name that is there; NotFound.
func (s *Service) HasName(ctx context.Context, kind, name string) error {
	all, err := s.Names(ctx, kind)
	if err == nil && !slices.Contains(all, name) {
		err = noName("placement.HasName", kind, name)
	}
	return err
}

// DeleteName removes a custom name that no provider has; NotFound, Invalid for a
// standard one, Conflict.
func (s *Service) DeleteName(ctx context.Context, kind, name string) error {
	const op = "placement.DeleteName"
	return s.update(ctx, func(tx *store.Tx, w world) error {
		switch {
		case !slices.Contains(w.names.of(kind), name):
			return noName(op, kind, name)
		case !strings.HasPrefix(name, "CUSTOM_") && kind == KindTrait:
			return cloud.E(op, cloud.Invalid, "Cannot delete standard trait %s.", name)
		case !strings.HasPrefix(name, "CUSTOM_"):
			return cloud.E(op, cloud.Invalid, "Error in delete resource class: Cannot delete standard resource class %s.", name)
		}
		for _, p := range w.fleet.Providers {
			if _, has := p.Inventories[name]; kind == KindClass && has {
				return cloud.E(op, cloud.Conflict, "Error in delete resource class: Cannot delete in-use resource class %s. Class is in use in inventory.", name)
			}
			if kind == KindTrait && slices.Contains(p.Traits, name) {
				return cloud.E(op, cloud.Conflict, "The trait %s is in use by a resource provider.", name)
			}
		}
		return tx.PlacementNames.Delete(cloud.PlacementName{Kind: kind, Name: name}.Key())
	})
}

// RenameClass gives a custom class another name, as microversions before 1.7 could;
// NotFound, Invalid for a standard one, Conflict.
func (s *Service) RenameClass(ctx context.Context, name, to string) error {
	const op = "placement.RenameClass"
	return s.update(ctx, func(tx *store.Tx, w world) error {
		switch {
		case !slices.Contains(w.names.classes, name):
			return noName(op, KindClass, name)
		case !strings.HasPrefix(name, "CUSTOM_"):
			return cloud.E(op, cloud.Invalid, "Cannot update standard resource class %s", name)
		case slices.Contains(w.names.classes, to):
			return cloud.E(op, cloud.Conflict, "Resource class already exists: %s", to)
		}
		for _, p := range w.fleet.Providers {
			if _, has := p.Inventories[name]; has {
				return cloud.E(op, cloud.Conflict, "Resource class %s is in use: it keeps its name", name)
			}
		}
		if err := tx.PlacementNames.Delete(cloud.PlacementName{Kind: KindClass, Name: name}.Key()); err != nil {
			return err
		}
		return tx.PlacementNames.Insert(cloud.PlacementName{Kind: KindClass, Name: to, CreatedAt: s.clock.Now()})
	})
}
