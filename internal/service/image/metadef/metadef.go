// Package metadef is glance's metadata definitions: namespaces of properties,
// objects and tags that say what images, flavors and the like may be marked
// with. They are descriptions for people and their tools; nothing else in the
// cloud reads them. Everybody reads what is public or their project's; operators
// write.
package metadef

import (
	"context"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Service keeps the definitions. It is safe for concurrent use.
type Service struct {
	store *store.Store
	clock cloud.Clock
}

// New makes the service.
func New(st *store.Store, clock cloud.Clock) *Service { return &Service{st, clock} }

// Whole is a namespace with all its definitions, by name.
type Whole struct {
	cloud.MetadefNamespace
	Items []cloud.MetadefItem
}

// Of gives the definitions of a kind.
func (w Whole) Of(kind cloud.MetadefKind) (list []cloud.MetadefItem) {
	for _, i := range w.Items {
		if i.Kind == kind {
			list = append(list, i)
		}
	}
	return list
}

// Filter says which namespaces a list holds. Its zero value is all that the
// caller sees, newest first.
type Filter struct {
	Public        *bool
	ResourceTypes []string // tied to any of them
	OldestFirst   bool
	Marker        string // the name of the namespace before the first
	Limit         int    // 0 for none
}

func noNamespace(name string) error {
	return cloud.E("metadef.Namespace", cloud.NotFound, "Metadata definition namespace=%s was not found.", name)
}

// visible gives a namespace that the caller sees; NotFound.
func visible(tx *store.Tx, caller cloud.Caller, name string) (cloud.MetadefNamespace, error) {
	ns, err := tx.MetadefNamespaces.Find(store.Eq("name", name))
	if cloud.Is(err, cloud.NotFound) || err == nil && !ns.Public && !caller.Owns(ns.ProjectID) {
		return cloud.MetadefNamespace{}, noNamespace(name)
	}
	return ns, err
}

// List lists namespaces. more tells that there are further ones.
func (s *Service) List(ctx context.Context, caller cloud.Caller, f Filter) (list []cloud.MetadefNamespace, more bool, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		q := store.Query{Order: []store.Order{{Column: "created_at", Desc: !f.OldestFirst}}}
		if f.Public != nil {
			q.Where = append(q.Where, store.Eq("public", *f.Public))
		}
		if f.Marker != "" {
			marker, err := visible(tx, caller, f.Marker)
			if err != nil {
				return err
			}
			q.After = marker.ID
		}
		list, err = tx.MetadefNamespaces.List(q)
		return err
	})
	list = slices.DeleteFunc(list, func(ns cloud.MetadefNamespace) bool {
		return !ns.Public && !caller.Owns(ns.ProjectID) || !f.tied(ns)
	})
	if f.Limit > 0 && len(list) > f.Limit {
		return list[:f.Limit], true, err
	}
	return list, false, err
}

func (f Filter) tied(ns cloud.MetadefNamespace) bool {
	return len(f.ResourceTypes) == 0 || slices.ContainsFunc(ns.ResourceTypes, func(r cloud.MetadefResourceType) bool {
		return slices.Contains(f.ResourceTypes, r.Name)
	})
}

// Get gives a namespace with its definitions; NotFound.
func (s *Service) Get(ctx context.Context, caller cloud.Caller, name string) (w Whole, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		if w.MetadefNamespace, err = visible(tx, caller, name); err != nil {
			return err
		}
		w.Items, err = tx.MetadefItems.List(store.Where(store.Eq("namespace_id", w.ID)))
		return err
	})
	slices.SortFunc(w.Items, func(a, b cloud.MetadefItem) int { return strings.Compare(a.Name, b.Name) })
	return w, err
}

// Create makes a namespace with its definitions, all or nothing. Conflict for a
// name that is taken.
func (s *Service) Create(ctx context.Context, caller cloud.Caller, w Whole) (Whole, error) {
	now := s.clock.Now()
	w.ID, w.CreatedAt, w.UpdatedAt = cloud.NewID(), now, now
	if w.ProjectID == "" {
		w.ProjectID = caller.ProjectID
	}
	for i := range w.ResourceTypes {
		w.ResourceTypes[i].CreatedAt, w.ResourceTypes[i].UpdatedAt = now, now
	}
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.MetadefNamespaces.Insert(w.MetadefNamespace); err != nil {
			return taken(err, "The metadata definition namespace=%s already exists.", w.Name)
		}
		for i := range w.Items {
			if err := s.insert(tx, w.MetadefNamespace, &w.Items[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return w, err
}

// taken says a Conflict in the API's words.
func taken(err error, format string, args ...any) error {
	if cloud.Is(err, cloud.Conflict) {
		return cloud.E("metadef.Create", cloud.Conflict, format, args...)
	}
	return err
}

// Update replaces what a namespace says of itself, its name included; its
// resource types and definitions stay. NotFound, Conflict.
func (s *Service) Update(ctx context.Context, caller cloud.Caller, name string, to cloud.MetadefNamespace) (ns cloud.MetadefNamespace, err error) {
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		if ns, err = visible(tx, caller, name); err != nil {
			return err
		}
		ns.Name, ns.DisplayName, ns.Description = to.Name, to.DisplayName, to.Description
		ns.Public, ns.Protected, ns.UpdatedAt = to.Public, to.Protected, s.clock.Now()
		ns.ProjectID = to.ProjectID
		if ns.ProjectID == "" {
			ns.ProjectID = caller.ProjectID
		}
		return taken(tx.MetadefNamespaces.Update(ns), "The metadata definition namespace=%s already exists.", to.Name)
	})
	return ns, err
}

// Delete removes a namespace and all in it; NotFound, Forbidden while protected.
func (s *Service) Delete(ctx context.Context, caller cloud.Caller, name string) error {
	return s.change(ctx, caller, name, func(tx *store.Tx, ns cloud.MetadefNamespace) error {
		if _, err := tx.MetadefItems.DeleteWhere(store.Eq("namespace_id", ns.ID)); err != nil {
			return err
		}
		return tx.MetadefNamespaces.Delete(ns.ID)
	})
}

// change removes something of a namespace, which must not be protected.
func (s *Service) change(ctx context.Context, caller cloud.Caller, name string, do func(*store.Tx, cloud.MetadefNamespace) error) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		ns, err := visible(tx, caller, name)
		if err != nil {
			return err
		}
		if ns.Protected {
			return cloud.E("metadef.Delete", cloud.Forbidden, "Metadata definition namespace %s is protected: neither it nor what is in it can be deleted.", name)
		}
		return do(tx, ns)
	})
}
