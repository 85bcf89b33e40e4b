package metadef

import (
	"context"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// known are the kinds of resource that OpenStack's services have properties on
// (glance's etc/metadefs).
var known = []string{"OS::Cinder::Volume", "OS::Glance::Image", "OS::Nova::Aggregate", "OS::Nova::Flavor", "OS::Nova::Server", "OS::Trove::Instance"}

// ResourceTypes lists the kinds of resource: the usual ones and those that any
// namespace is tied to.
func (s *Service) ResourceTypes(ctx context.Context) ([]string, error) {
	list := slices.Clone(known)
	err := s.store.View(ctx, func(tx *store.Tx) error {
		all, err := tx.MetadefNamespaces.List(store.Query{})
		for _, ns := range all {
			for _, r := range ns.ResourceTypes {
				list = append(list, r.Name)
			}
		}
		return err
	})
	slices.Sort(list)
	return slices.Compact(list), err
}

func named(name string) func(cloud.MetadefResourceType) bool {
	return func(r cloud.MetadefResourceType) bool { return r.Name == name }
}

// Associate ties a namespace to a kind of resource; NotFound, Conflict.
func (s *Service) Associate(ctx context.Context, caller cloud.Caller, namespace string, r cloud.MetadefResourceType) (cloud.MetadefResourceType, error) {
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		ns, err := visible(tx, caller, namespace)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(ns.ResourceTypes, named(r.Name)) {
			return cloud.E("metadef.Associate", cloud.Conflict, "The metadata definition resource-type association of resource-type=%s to namespace=%s already exists.", r.Name, namespace)
		}
		r.CreatedAt = s.clock.Now()
		r.UpdatedAt = r.CreatedAt
		ns.ResourceTypes = append(ns.ResourceTypes, r)
		return tx.MetadefNamespaces.Update(ns)
	})
	return r, err
}

// Dissociate takes the tie away; NotFound, Forbidden for a protected namespace.
func (s *Service) Dissociate(ctx context.Context, caller cloud.Caller, namespace, name string) error {
	return s.change(ctx, caller, namespace, func(tx *store.Tx, ns cloud.MetadefNamespace) error {
		i := slices.IndexFunc(ns.ResourceTypes, named(name))
		if i < 0 {
			return cloud.E("metadef.Dissociate", cloud.NotFound, "Failed to find resource type %s to delete", name)
		}
		ns.ResourceTypes = slices.Delete(ns.ResourceTypes, i, i+1)
		return tx.MetadefNamespaces.Update(ns)
	})
}
