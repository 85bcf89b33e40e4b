package network

import (
	"context"
	"net/netip"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// maxRoutes bounds the static routes of a router.
const maxRoutes = 30

// Gateway asks for a router's way out. An empty NetworkID is none.
type Gateway struct {
	NetworkID  string
	EnableSNAT *bool
	FixedIPs   *[]IPRequest
}

// RouterCreate asks for a router.
type RouterCreate struct {
	ProjectID, Name, Description string
	AdminStateUp                 *bool
	Gateway                      *Gateway
	ZoneHints                    []string // availability zones that it may run in; none for all
}

// RouterUpdate changes what is not nil.
type RouterUpdate struct {
	Name, Description *string
	AdminStateUp      *bool
	Gateway           *Gateway
	Routes            *[]cloud.Route
}

// RouterView is a router with the addresses of its gateway port and the
// availability zones that it runs in.
type RouterView struct {
	cloud.Router
	GatewayIPs []cloud.FixedIP
	Zones      []string
}

// CreateRouters makes routers, all or none.
func (s *Service) CreateRouters(ctx context.Context, c cloud.Caller, reqs ...RouterCreate) ([]RouterView, error) {
	return each(ctx, s, reqs, func(tx *store.Tx, q RouterCreate) (RouterView, error) {
		r, err := s.createRouter(tx, c, q)
		if err != nil {
			return RouterView{}, err
		}
		return viewRouter(tx, r)
	})
}

func (s *Service) createRouter(tx *store.Tx, c cloud.Caller, q RouterCreate) (cloud.Router, error) {
	owner, err := project(c, q.ProjectID)
	if err != nil {
		return cloud.Router{}, err
	}
	if err := checkQuota(tx, owner, "router", 1); err != nil {
		return cloud.Router{}, err
	}
	if err := checkZones(tx, q.ZoneHints); err != nil {
		return cloud.Router{}, err
	}
	now := s.clock.Now()
	r := cloud.Router{
		ID: cloud.NewID(), ProjectID: owner, Name: q.Name, Description: q.Description, AdminStateUp: or(q.AdminStateUp, true),
		EnableSNAT: true, ZoneHints: q.ZoneHints, CreatedAt: now, UpdatedAt: now, Revision: 1,
	}
	if q.Gateway != nil {
		if err := s.setGateway(tx, c, &r, *q.Gateway, "create"); err != nil {
			return r, err
		}
	}
	return r, tx.Routers.Insert(r)
}

func viewRouter(tx *store.Tx, r cloud.Router) (RouterView, error) {
	v := RouterView{Router: r}
	if r.Node != "" {
		host, err := tx.Hosts.Get(r.Node)
		if err != nil && !cloud.Is(err, cloud.NotFound) {
			return v, err
		}
		if host.AvailabilityZone != "" {
			v.Zones = []string{host.AvailabilityZone}
		}
	}
	if r.GatewayPortID == "" {
		return v, nil
	}
	p, err := tx.Ports.Get(r.GatewayPortID)
	v.GatewayIPs = p.FixedIPs
	return v, err
}

// GetRouter gives a router of the caller's.
func (s *Service) GetRouter(ctx context.Context, c cloud.Caller, id string) (RouterView, error) {
	return view(ctx, s, func(tx *store.Tx) (RouterView, error) {
		r, err := ownRouter(tx, c, id)
		if err != nil {
			return RouterView{}, err
		}
		return viewRouter(tx, r)
	})
}

// ListRouters lists the caller's routers.
func (s *Service) ListRouters(ctx context.Context, c cloud.Caller, f Filter) ([]RouterView, error) {
	return view(ctx, s, func(tx *store.Tx) ([]RouterView, error) {
		rows, err := tx.Routers.List(byAge(mine(in(nil, "id", f.IDs), c)))
		if err != nil {
			return nil, err
		}
		out := make([]RouterView, len(rows))
		for i, r := range rows {
			if out[i], err = viewRouter(tx, r); err != nil {
				return nil, err
			}
		}
		return out, nil
	})
}

// UpdateRouter changes a router of the caller's.
func (s *Service) UpdateRouter(ctx context.Context, c cloud.Caller, id string, q RouterUpdate) (RouterView, error) {
	return s.changeRouter(ctx, c, id, func(tx *store.Tx, r *cloud.Router) error {
		set(&r.Name, q.Name)
		set(&r.Description, q.Description)
		set(&r.AdminStateUp, q.AdminStateUp)
		if q.Gateway != nil {
			if err := s.setGateway(tx, c, r, *q.Gateway, "update"); err != nil {
				return err
			}
		}
		if q.Routes != nil {
			if err := checkRoutes(tx, r.ID, *q.Routes); err != nil {
				return err
			}
			r.Routes = *q.Routes
		}
		return nil
	})
}

func (s *Service) changeRouter(ctx context.Context, c cloud.Caller, id string, change func(*store.Tx, *cloud.Router) error) (RouterView, error) {
	return update(ctx, s, func(tx *store.Tx) (RouterView, error) {
		r, err := ownRouter(tx, c, id)
		if err != nil {
			return RouterView{}, err
		}
		if err := change(tx, &r); err != nil {
			return RouterView{}, err
		}
		if err := s.saveRouter(tx, r); err != nil {
			return RouterView{}, err
		}
		if r, err = tx.Routers.Get(r.ID); err != nil { // with the revision that it has now
			return RouterView{}, err
		}
		return viewRouter(tx, r)
	})
}

func (s *Service) saveRouter(tx *store.Tx, r cloud.Router) error {
	r.UpdatedAt, r.Revision = s.clock.Now(), r.Revision+1
	return tx.Routers.Update(r)
}

// AddRoutes adds static routes to those of a router.
func (s *Service) AddRoutes(ctx context.Context, c cloud.Caller, id string, routes []cloud.Route) (RouterView, error) {
	return s.changeRouter(ctx, c, id, func(tx *store.Tx, r *cloud.Router) error {
		merged := slices.Clone(r.Routes)
		for _, route := range routes {
			if !slices.Contains(merged, route) {
				merged = append(merged, route)
			}
		}
		r.Routes = merged
		return checkRoutes(tx, r.ID, merged)
	})
}

// RemoveRoutes removes static routes from those of a router.
func (s *Service) RemoveRoutes(ctx context.Context, c cloud.Caller, id string, routes []cloud.Route) (RouterView, error) {
	return s.changeRouter(ctx, c, id, func(tx *store.Tx, r *cloud.Router) error {
		r.Routes = slices.DeleteFunc(slices.Clone(r.Routes), func(route cloud.Route) bool { return slices.Contains(routes, route) })
		return nil
	})
}

// checkRoutes refuses next hops that the router is not connected with, or that
// are its own.
func checkRoutes(tx *store.Tx, routerID string, routes []cloud.Route) error {
	if len(routes) > maxRoutes {
		return refuse(cloud.Invalid, "RoutesExhausted", "Unable to complete operation for %s. The number of routes exceeds the maximum %d.", routerID, maxRoutes)
	}
	prefixes, own, err := reach(tx, routerID)
	if err != nil {
		return err
	}
	for _, r := range routes {
		switch {
		case r.Destination.Addr().Is4() != r.NextHop.Is4():
			return invalidRoutes(r, "the destination and the nexthop are of different IP versions")
		case slices.Contains(own, r.NextHop):
			return invalidRoutes(r, "the nexthop is used by router")
		case !slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(r.NextHop) }):
			return invalidRoutes(r, "the nexthop is not connected with router")
		}
	}
	return nil
}

func invalidRoutes(r cloud.Route, reason string) error {
	return refuse(cloud.Invalid, "InvalidRoutes", "Invalid input for operation: Invalid format for routes: [{'destination': '%s', 'nexthop': '%s'}], %s.", r.Destination, r.NextHop, reason)
}

// reach gives the prefixes that a router is on, and its own addresses.
func reach(tx *store.Tx, routerID string) (prefixes []netip.Prefix, own []netip.Addr, err error) {
	ports, err := routerPorts(tx, routerID)
	if err != nil {
		return nil, nil, err
	}
	for _, p := range ports {
		for _, f := range p.FixedIPs {
			sub, err := tx.Subnets.Get(f.SubnetID)
			if err != nil {
				return nil, nil, err
			}
			prefixes, own = append(prefixes, sub.CIDR), append(own, f.IP)
		}
	}
	return prefixes, own, nil
}

// routerPorts lists the interfaces and the gateway port of a router.
func routerPorts(tx *store.Tx, routerID string) ([]cloud.Port, error) {
	return tx.Ports.List(byAge([]store.Cond{
		store.Eq("device_id", routerID), store.In("device_owner", cloud.OwnerRouterInterface, cloud.OwnerRouterGateway),
	}))
}

// DeleteRouter removes a router without interfaces, and its gateway port.
func (s *Service) DeleteRouter(ctx context.Context, c cloud.Caller, id string) error {
	return s.change(ctx, func(tx *store.Tx) error {
		r, err := ownRouter(tx, c, id)
		if err != nil {
			return err
		}
		n, err := tx.Ports.Count(store.Eq("device_id", id), store.Eq("device_owner", cloud.OwnerRouterInterface))
		if err != nil {
			return err
		}
		if n > 0 {
			return conflict("RouterInUse", "Router %s still has ports", id)
		}
		if r.GatewayPortID != "" {
			p, err := tx.Ports.Get(r.GatewayPortID)
			if err != nil {
				return err
			}
			if err := s.DeletePortTx(tx, p); err != nil {
				return err
			}
		}
		return tx.Routers.Delete(id)
	})
}
