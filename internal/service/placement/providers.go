package placement

import (
	"context"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/schedule"
	"hearth/internal/store"
)

// Filter says which providers a list holds. Empty fields do not narrow.
type Filter struct {
	Name, ID, InTree string
	Group            schedule.Group // its resources, traits and aggregates
}

// Providers lists the providers; Invalid for a trait or class that there is not.
func (s *Service) Providers(ctx context.Context, f Filter) (list []schedule.Provider, err error) {
	const op = "placement.Providers"
	err = s.view(ctx, func(_ *store.Tx, w world) error {
		if err := w.names.check(op, f.Group); err != nil {
			return err
		}
		root := ""
		if f.InTree != "" {
			p, ok := w.provider(f.InTree)
			if !ok {
				return nil
			}
			root = p.Root
		}
		for _, p := range w.fleet.Providers {
			if (f.Name == "" || p.Name == f.Name) && (f.ID == "" || p.ID == f.ID) && (root == "" || p.Root == root) && p.Gives(f.Group) {
				list = append(list, p)
			}
		}
		return nil
	})
	return list, err
}

// Provider gives a provider; NotFound.
func (s *Service) Provider(ctx context.Context, id string) (p schedule.Provider, err error) {
	err = s.view(ctx, func(_ *store.Tx, w world) error {
		var ok bool
		if p, ok = w.provider(id); !ok {
			return noProvider("placement.Provider", id)
		}
		return nil
	})
	return p, err
}

// free refuses a name or an id that another provider has.
func (w world) free(op, id, name string) error {
	for _, p := range w.fleet.Providers {
		switch {
		case id != "" && p.ID == id:
			return problem(op, cloud.Conflict, CodeDuplicate, "Conflicting resource provider uuid: "+id+" already exists.")
		case name != "" && p.Name == name:
			return problem(op, cloud.Conflict, CodeDuplicate, "Conflicting resource provider name: "+name+" already exists.")
		}
	}
	return nil
}

// CreateProvider makes a provider, with a parent of "" the root of a tree of its
// own. An id of "" is made up. Conflict, Invalid.
func (s *Service) CreateProvider(ctx context.Context, id, name, parent string) (p schedule.Provider, err error) {
	const op = "placement.CreateProvider"
	err = s.update(ctx, func(tx *store.Tx, w world) error {
		if err := w.free(op, id, name); err != nil {
			return err
		}
		row := cloud.ResourceProvider{ID: id, Name: name, ParentID: parent, CreatedAt: s.clock.Now(), UpdatedAt: s.clock.Now()}
		if row.ID == "" {
			row.ID = cloud.NewID()
		}
		if parent != "" && parent == row.ID {
			return cloud.E(op, cloud.Invalid, "Unable to create resource provider \"%s\", %s: Object action create failed because: parent provider UUID cannot be same as UUID. Please set parent provider UUID to None if this provider is a root provider.", name, row.ID)
		}
		if _, ok := w.provider(parent); parent != "" && !ok {
			return cloud.E(op, cloud.Invalid, "Unable to create resource provider \"%s\", %s: Object action create failed because: parent provider UUID does not exist.", name, row.ID)
		}
		if err := tx.Providers.Insert(row); err != nil {
			return err
		}
		after, err := s.worldTx(tx)
		p, _ = after.provider(row.ID)
		return err
	})
	return p, err
}

// MoveProvider renames a provider and, with a parent that is not nil, puts it below
// another ("" for none). Taking it off a parent wants reparent, from microversion
// 1.37 on.
func (s *Service) MoveProvider(ctx context.Context, id, name string, parent *string, reparent bool) (schedule.Provider, error) {
	const op = "placement.MoveProvider"
	return s.change(ctx, op, id, nil, func(w world, p schedule.Provider, row *cloud.ResourceProvider) error {
		refuse := func(why string) error {
			return cloud.E(op, cloud.Invalid, "Unable to save resource provider %s: Object action update failed because: %s", id, why)
		}
		if name != p.Name {
			if p.Host != "" {
				return refuse("it is the host " + p.Host + ", which has its name of itself.")
			}
			if err := w.free(op, "", name); err != nil {
				return err
			}
			row.Name = name
		}
		row.Generation-- // names and parents are not part of what the generation counts
		if parent == nil || *parent == p.ParentID {
			return nil
		}
		switch {
		case p.ParentID != "" && !reparent && *parent == "":
			return refuse("un-parenting a provider is not currently allowed.")
		case p.ParentID != "" && !reparent:
			return refuse("re-parenting a provider is not currently allowed.")
		}
		up, ok := w.provider(*parent)
		switch {
		case *parent == "":
		case !ok:
			return refuse("parent provider UUID does not exist.")
		case p.Host != "":
			return refuse("it is the host " + p.Host + ", which is the root of its tree.")
		case up.ID == id || w.below(up, id):
			return refuse("creating loop in the provider tree is not allowed.")
		}
		row.ParentID = *parent
		return nil
	})
}

// below tells whether a provider is in the tree under another.
func (w world) below(p schedule.Provider, id string) bool {
	for range w.fleet.Providers {
		if p.ParentID == id {
			return true
		}
		up, ok := w.provider(p.ParentID)
		if !ok {
			return false
		}
		p = up
	}
	return false
}

// DeleteProvider removes a provider that nobody claims from and none is below. A
// host goes with its service in the compute API.
func (s *Service) DeleteProvider(ctx context.Context, id string) error {
	const op = "placement.DeleteProvider"
	return s.update(ctx, func(tx *store.Tx, w world) error {
		p, ok := w.provider(id)
		used := slices.ContainsFunc(w.claims(), func(c consumerClaim) bool { return c.ProviderID == id })
		switch {
		case !ok:
			return cloud.E(op, cloud.NotFound, "No resource provider with uuid %s found for delete", id)
		case slices.ContainsFunc(w.fleet.Providers, func(q schedule.Provider) bool { return q.ParentID == id }):
			return problem(op, cloud.Conflict, CodeParent, "Unable to delete parent resource provider "+id+": It has child resource providers.")
		case used:
			return problem(op, cloud.Conflict, CodeProviderUse, "Unable to delete resource provider "+id+": Resource provider has allocations.")
		case p.Host != "":
			return problem(op, cloud.Conflict, CodeProviderUse, "Unable to delete resource provider "+id+": it is the host "+p.Host+"; delete its compute service instead.")
		}
		return tx.Providers.Delete(id)
	})
}

// SetAggregates says which aggregates a provider is in. Those of the compute API
// that a host is in stay.
func (s *Service) SetAggregates(ctx context.Context, id string, generation *int64, aggregates []string) (schedule.Provider, error) {
	return s.change(ctx, "placement.SetAggregates", id, generation, func(_ world, _ schedule.Provider, row *cloud.ResourceProvider) error {
		row.Aggregates = slices.Clone(aggregates)
		if generation == nil { // before 1.19 they did not count
			row.Generation--
		}
		return nil
	})
}

// SetTraits says which traits a provider has; those that a host has of itself
// stay. Invalid for one that there is not.
func (s *Service) SetTraits(ctx context.Context, id string, generation *int64, traits []string) (schedule.Provider, error) {
	const op = "placement.SetTraits"
	return s.change(ctx, op, id, generation, func(w world, _ schedule.Provider, row *cloud.ResourceProvider) error {
		unknown := slices.DeleteFunc(slices.Clone(traits), func(t string) bool { return slices.Contains(w.names.traits, t) })
		if len(unknown) > 0 {
			return cloud.E(op, cloud.Invalid, "No such trait %s", strings.Join(unknown, ", "))
		}
		slices.Sort(traits)
		row.Traits = slices.Compact(traits)
		return nil
	})
}

// Candidates are the ways to fulfil an ask, with the providers of their trees by
// id; Invalid for a trait or class that there is not.
func (s *Service) Candidates(ctx context.Context, ask schedule.Ask, limit int) (list []schedule.Candidate, all []schedule.Provider, err error) {
	const op = "placement.Candidates"
	err = s.view(ctx, func(_ *store.Tx, w world) error {
		for _, g := range append(ask.Groups, schedule.Group{Required: [][]string{ask.RootRequired}, Forbidden: ask.RootForbidden}) {
			if err := w.names.check(op, g); err != nil {
				return err
			}
		}
		list, all = schedule.Candidates(w.fleet.Providers, ask, limit), w.fleet.Providers
		return nil
	})
	return list, all, err
}
