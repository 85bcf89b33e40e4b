package metadef

import (
	"context"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Items lists the definitions of a kind in a namespace, newest first; marker is
// the name of the one before the first, limit 0 for no limit.
func (s *Service) Items(ctx context.Context, caller cloud.Caller, namespace string, kind cloud.MetadefKind, marker string, limit int) (list []cloud.MetadefItem, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		ns, err := visible(tx, caller, namespace)
		if err != nil {
			return err
		}
		q := store.Query{Where: of(ns, kind), Order: []store.Order{{Column: "created_at", Desc: true}}, Limit: limit}
		if marker != "" {
			before, err := item(tx, ns, kind, marker)
			if err != nil {
				return err
			}
			q.After = before.ID
		}
		list, err = tx.MetadefItems.List(q)
		return err
	})
	return list, err
}

func of(ns cloud.MetadefNamespace, kind cloud.MetadefKind) []store.Cond {
	return []store.Cond{store.Eq("namespace_id", ns.ID), store.Eq("kind", string(kind))}
}

func item(tx *store.Tx, ns cloud.MetadefNamespace, kind cloud.MetadefKind, name string) (cloud.MetadefItem, error) {
	i, err := tx.MetadefItems.Find(append(of(ns, kind), store.Eq("name", name))...)
	if cloud.Is(err, cloud.NotFound) {
		err = cloud.E("metadef.Item", cloud.NotFound, "The metadata definition %s with name=%s was not found in namespace=%s.", kind, name, ns.Name)
	}
	return i, err
}

// Item gives one definition; NotFound.
func (s *Service) Item(ctx context.Context, caller cloud.Caller, namespace string, kind cloud.MetadefKind, name string) (i cloud.MetadefItem, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		ns, err := visible(tx, caller, namespace)
		if err == nil {
			i, err = item(tx, ns, kind, name)
		}
		return err
	})
	return i, err
}

func (s *Service) insert(tx *store.Tx, ns cloud.MetadefNamespace, i *cloud.MetadefItem) error {
	now := s.clock.Now()
	i.ID, i.NamespaceID, i.CreatedAt, i.UpdatedAt = cloud.NewID(), ns.ID, now, now
	return taken(tx.MetadefItems.Insert(*i), "A metadata definition %s with name=%s already exists in namespace=%s.", i.Kind, i.Name, ns.Name)
}

// Add puts definitions into a namespace, all or none; with replace those of the
// same kind that were there go. NotFound, Conflict.
func (s *Service) Add(ctx context.Context, caller cloud.Caller, namespace string, kind cloud.MetadefKind, items []cloud.MetadefItem, replace bool) ([]cloud.MetadefItem, error) {
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		ns, err := visible(tx, caller, namespace)
		if err != nil {
			return err
		}
		if replace {
			if _, err := tx.MetadefItems.DeleteWhere(of(ns, kind)...); err != nil {
				return err
			}
		}
		for n := range items {
			items[n].Kind = kind
			if err := s.insert(tx, ns, &items[n]); err != nil {
				return err
			}
		}
		return nil
	})
	return items, err
}

// Set replaces a definition, its name included; NotFound, Conflict.
func (s *Service) Set(ctx context.Context, caller cloud.Caller, namespace string, kind cloud.MetadefKind, name string, to cloud.MetadefItem) (i cloud.MetadefItem, err error) {
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		ns, err := visible(tx, caller, namespace)
		if err != nil {
			return err
		}
		if i, err = item(tx, ns, kind, name); err != nil {
			return err
		}
		i.Name, i.Definition, i.UpdatedAt = to.Name, to.Definition, s.clock.Now()
		return taken(tx.MetadefItems.Update(i), "A metadata definition %s with name=%s already exists in namespace=%s.", kind, to.Name, namespace)
	})
	return i, err
}

// Remove removes a definition; NotFound, Forbidden in a protected namespace.
func (s *Service) Remove(ctx context.Context, caller cloud.Caller, namespace string, kind cloud.MetadefKind, name string) error {
	return s.change(ctx, caller, namespace, func(tx *store.Tx, ns cloud.MetadefNamespace) error {
		i, err := item(tx, ns, kind, name)
		if err != nil {
			return err
		}
		return tx.MetadefItems.Delete(i.ID)
	})
}

// RemoveAll removes all definitions of a kind; NotFound, Forbidden in a
// protected namespace.
func (s *Service) RemoveAll(ctx context.Context, caller cloud.Caller, namespace string, kind cloud.MetadefKind) error {
	return s.change(ctx, caller, namespace, func(tx *store.Tx, ns cloud.MetadefNamespace) error {
		_, err := tx.MetadefItems.DeleteWhere(of(ns, kind)...)
		return err
	})
}
