package identity

import (
	"context"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

func endpointGroupRows(tx *store.Tx) *store.Table[cloud.EndpointGroup] { return tx.EndpointGroups }

// EndpointGroup gives a group of endpoints; NotFound.
func (s *Service) EndpointGroup(ctx context.Context, id string) (cloud.EndpointGroup, error) {
	return fetch(ctx, s, endpointGroupRows, id)
}

// EndpointGroups lists the groups of endpoints, by name if it is not "".
func (s *Service) EndpointGroups(ctx context.Context, name string) ([]cloud.EndpointGroup, error) {
	return list(ctx, s, endpointGroupRows, store.Eq("name", name))
}

// CreateEndpointGroup makes a group of endpoints.
func (s *Service) CreateEndpointGroup(ctx context.Context, g cloud.EndpointGroup) (cloud.EndpointGroup, error) {
	g.ID = cloud.NewHexID()
	return g, s.update(ctx, func(tx *store.Tx) error { return tx.EndpointGroups.Insert(g) })
}

// EndpointGroupPatch changes what is not nil.
type EndpointGroupPatch struct {
	Name, Description *string
	Filters           map[string]any
}

// UpdateEndpointGroup changes a group of endpoints; NotFound.
func (s *Service) UpdateEndpointGroup(ctx context.Context, id string, p EndpointGroupPatch) (cloud.EndpointGroup, error) {
	return amend(ctx, s, endpointGroupRows, id, func(_ *store.Tx, g *cloud.EndpointGroup) error {
		set(&g.Name, p.Name)
		set(&g.Description, p.Description)
		if p.Filters != nil {
			g.Filters = p.Filters
		}
		return nil
	})
}

// DeleteEndpointGroup removes a group of endpoints with its links; NotFound.
func (s *Service) DeleteEndpointGroup(ctx context.Context, id string) error {
	return s.update(ctx, func(tx *store.Tx) error {
		if _, err := tx.EndpointLinks.DeleteWhere(store.Eq("target", id)); err != nil {
			return err
		}
		return tx.EndpointGroups.Delete(id)
	})
}

// Link shows an endpoint, or a group of them, to a project; NotFound.
func (s *Service) Link(ctx context.Context, l cloud.EndpointLink) error {
	return s.update(ctx, func(tx *store.Tx) error {
		if err := linkable(tx, l); err != nil {
			return err
		}
		return tx.EndpointLinks.Put(l)
	})
}

func linkable(tx *store.Tx, l cloud.EndpointLink) error {
	if err := refer(tx.Projects, "project", l.ProjectID, cloud.NotFound); err != nil {
		return err
	}
	if l.Group {
		return refer(tx.EndpointGroups, "endpoint group", l.Target, cloud.NotFound)
	}
	return refer(tx.CatalogEndpoints, "endpoint", l.Target, cloud.NotFound)
}

// Linked is nil for a link that is there; NotFound.
func (s *Service) Linked(ctx context.Context, l cloud.EndpointLink) error {
	return s.view(ctx, func(tx *store.Tx) error { return linked(tx, l) })
}

func linked(tx *store.Tx, l cloud.EndpointLink) error {
	if err := linkable(tx, l); err != nil {
		return err
	}
	_, err := tx.EndpointLinks.Get(l.Key())
	if cloud.Is(err, cloud.NotFound) {
		return cloud.E("identity.Linked", cloud.NotFound, "Could not find project endpoint filter: %s and %s.", l.ProjectID, l.Target)
	}
	return err
}

// Unlink takes a link away; NotFound.
func (s *Service) Unlink(ctx context.Context, l cloud.EndpointLink) error {
	return s.update(ctx, func(tx *store.Tx) error {
		if err := linked(tx, l); err != nil {
			return err
		}
		return tx.EndpointLinks.Delete(l.Key())
	})
}

// Links are the links of a project or of a target, of groups or of endpoints.
func (s *Service) Links(ctx context.Context, projectID, target string, group bool) ([]cloud.EndpointLink, error) {
	all, err := list(ctx, s, func(tx *store.Tx) *store.Table[cloud.EndpointLink] { return tx.EndpointLinks },
		store.Eq("project_id", projectID), store.Eq("target", target))
	return slices.DeleteFunc(all, func(l cloud.EndpointLink) bool { return l.Group != group }), err
}

// ProjectEndpoints are the endpoints that a project sees by links of its own.
func (s *Service) ProjectEndpoints(ctx context.Context, projectID string) ([]cloud.CatalogEndpoint, error) {
	return read(ctx, s, func(tx *store.Tx) ([]cloud.CatalogEndpoint, error) {
		if err := refer(tx.Projects, "project", projectID, cloud.NotFound); err != nil {
			return nil, err
		}
		found, _, err := linkedEndpoints(tx, projectID)
		return found, err
	})
}

// EndpointsOf are the endpoints that the filters of a group hold for; NotFound.
func (s *Service) EndpointsOf(ctx context.Context, groupID string) ([]cloud.CatalogEndpoint, error) {
	return read(ctx, s, func(tx *store.Tx) ([]cloud.CatalogEndpoint, error) {
		g, err := tx.EndpointGroups.Get(groupID)
		if err != nil {
			return nil, err
		}
		all, err := tx.CatalogEndpoints.List(store.Query{})
		return slices.DeleteFunc(all, func(e cloud.CatalogEndpoint) bool { return !passes(e, g.Filters) }), err
	})
}

// passes tells whether all filters hold for an endpoint.
func passes(e cloud.CatalogEndpoint, filters map[string]any) bool {
	is := map[string]any{"service_id": e.ServiceID, "interface": e.Interface, "region_id": e.RegionID, "enabled": e.Enabled}
	for name, want := range filters {
		if is[name] != want {
			return false
		}
	}
	return true
}

// linkedEndpoints are the endpoints that a project's links name; any tells
// whether it has links.
func linkedEndpoints(tx *store.Tx, projectID string) (out []cloud.CatalogEndpoint, any bool, err error) {
	links, err := tx.EndpointLinks.List(store.Where(store.Eq("project_id", projectID)))
	if err != nil || len(links) == 0 {
		return nil, false, err
	}
	all, err := tx.CatalogEndpoints.List(store.Query{})
	if err != nil {
		return nil, true, err
	}
	groups, err := tx.EndpointGroups.List(store.Query{})
	if err != nil {
		return nil, true, err
	}
	for _, e := range all {
		if slices.ContainsFunc(links, func(l cloud.EndpointLink) bool {
			return l.Target == e.ID || slices.ContainsFunc(groups, func(g cloud.EndpointGroup) bool { return g.ID == l.Target && passes(e, g.Filters) })
		}) {
			out = append(out, e)
		}
	}
	return out, true, nil
}

// visible are the endpoints that a project sees.
func visible(tx *store.Tx, projectID string) ([]cloud.CatalogEndpoint, error) {
	if projectID != "" {
		if out, any, err := linkedEndpoints(tx, projectID); any || err != nil {
			return out, err
		}
	}
	return tx.CatalogEndpoints.List(store.Query{})
}
