package compute

import (
	"context"
	"net/netip"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/service/network"
	"hearth/internal/store"
)

// NetworkProxy is what nova passes on of floating IPs and networks.
type NetworkProxy interface {
	ListNetworks(ctx context.Context, c cloud.Caller, f network.Filter) ([]network.NetworkView, error)
	ListFloatingIPs(ctx context.Context, c cloud.Caller, f network.Filter) ([]network.FloatingView, error)
	CreateFloatingIPs(ctx context.Context, c cloud.Caller, reqs ...network.FloatingCreate) ([]network.FloatingView, error)
	UpdateFloatingIP(ctx context.Context, c cloud.Caller, id string, r network.FloatingUpdate) (network.FloatingView, error)
	DeleteFloatingIP(ctx context.Context, c cloud.Caller, id string) error
}

// FloatingIP is a floating IP with the name of its network, nova's pool.
type FloatingIP struct {
	network.FloatingView
	Pool     string
	ServerID string // of the server that it is mapped to; "" for none
}

// Networks lists the networks that a server of the caller's project may be on.
func (s *Service) Networks(ctx context.Context, c cloud.Caller) (list []cloud.Network, err error) {
	views, err := s.network.ListNetworks(ctx, c, network.Filter{})
	for _, v := range views {
		if v.Shared || v.ProjectID == c.ProjectID {
			list = append(list, v.Network)
		}
	}
	return list, err
}

// Pools lists the external networks: those that have floating IPs.
func (s *Service) Pools(ctx context.Context, c cloud.Caller) (list []cloud.Network, err error) {
	views, err := s.network.ListNetworks(ctx, c, network.Filter{})
	for _, v := range views {
		if v.External {
			list = append(list, v.Network)
		}
	}
	return list, err
}

// poolName is a network's name, or its id where it has none.
func poolName(n cloud.Network) string {
	if n.Name == "" {
		return n.ID
	}
	return n.Name
}

// FloatingIPs lists the floating IPs of the caller's project.
func (s *Service) FloatingIPs(ctx context.Context, c cloud.Caller) ([]FloatingIP, error) {
	views, err := s.network.ListFloatingIPs(ctx, c, network.Filter{})
	if err != nil {
		return nil, err
	}
	pools, err := s.Pools(ctx, c)
	out := []FloatingIP{}
	for _, v := range views {
		if v.ProjectID != c.ProjectID {
			continue
		}
		f := FloatingIP{FloatingView: v, Pool: v.NetworkID}
		if i := slices.IndexFunc(pools, func(n cloud.Network) bool { return n.ID == v.NetworkID }); i >= 0 {
			f.Pool = poolName(pools[i])
		}
		if v.Port != nil {
			f.ServerID = v.Port.DeviceID
		}
		out = append(out, f)
	}
	return out, err
}

// FloatingIP gives a floating IP of the caller's project; NotFound.
func (s *Service) FloatingIP(ctx context.Context, c cloud.Caller, id string) (FloatingIP, error) {
	list, err := s.FloatingIPs(ctx, c)
	for _, f := range list {
		if f.ID == id {
			return f, nil
		}
	}
	if err == nil {
		err = cloud.E("compute.FloatingIP", cloud.NotFound, "Floating IP not found for ID %s", id)
	}
	return FloatingIP{}, err
}

// CreateFloatingIP takes a floating IP of a pool, by its name or id; "" for the
// first there is. NotFound, QuotaExceeded.
func (s *Service) CreateFloatingIP(ctx context.Context, c cloud.Caller, pool string) (FloatingIP, error) {
	const op = "compute.CreateFloatingIP"
	pools, err := s.Pools(ctx, c)
	if err != nil {
		return FloatingIP{}, err
	}
	i := slices.IndexFunc(pools, func(n cloud.Network) bool { return pool == "" || n.Name == pool || n.ID == pool })
	if i < 0 {
		return FloatingIP{}, cloud.E(op, cloud.NotFound, "Floating IP pool not found.")
	}
	made, err := s.network.CreateFloatingIPs(ctx, c, network.FloatingCreate{NetworkID: pools[i].ID})
	switch {
	case cloud.Is(err, cloud.QuotaExceeded) || err != nil && network.ProblemName(err) == "OverQuota":
		return FloatingIP{}, cloud.E(op, cloud.QuotaExceeded, "IP allocation over quota in pool %s.", poolName(pools[i]))
	case err != nil && network.ProblemName(err) == "IpAddressGenerationFailure":
		return FloatingIP{}, cloud.E(op, cloud.NotFound, "No more floating IPs in pool %s.", poolName(pools[i]))
	case err != nil:
		return FloatingIP{}, asNova(op, err)
	}
	return FloatingIP{FloatingView: made[0], Pool: poolName(pools[i])}, nil
}

// DeleteFloatingIP gives a floating IP back.
func (s *Service) DeleteFloatingIP(ctx context.Context, c cloud.Caller, id string) error {
	if _, err := s.FloatingIP(ctx, c, id); err != nil {
		return err
	}
	return s.network.DeleteFloatingIP(ctx, c, id)
}

// floatingByAddress finds a floating IP of the caller's project; NotFound.
func (s *Service) floatingByAddress(ctx context.Context, c cloud.Caller, op string, ip netip.Addr) (FloatingIP, error) {
	list, err := s.FloatingIPs(ctx, c)
	for _, f := range list {
		if f.IP == ip {
			return f, nil
		}
	}
	if err == nil {
		err = cloud.E(op, cloud.NotFound, "floating IP not found")
	}
	return FloatingIP{}, err
}

// AddFloatingIP maps a floating IP to a fixed address of a server; the zero
// address for its first of IPv4. NotFound, Invalid.
func (s *Service) AddFloatingIP(ctx context.Context, c cloud.Caller, id string, ip, fixed netip.Addr) error {
	const op = "compute.AddFloatingIP"
	d, err := s.Server(ctx, c, id)
	if err != nil {
		return err
	}
	port, at, any := "", fixed, false
	for _, p := range d.Ports {
		for _, a := range p.FixedIPs {
			any = true
			if port == "" && (a.IP == fixed || !fixed.IsValid() && a.IP.Is4()) {
				port, at = p.ID, a.IP
			}
		}
	}
	switch {
	case !any:
		return cloud.E(op, cloud.Invalid, "No fixed IPs associated to instance")
	case port == "" && fixed.IsValid():
		return cloud.E(op, cloud.Invalid, "Specified fixed address not assigned to instance")
	case port == "":
		return cloud.E(op, cloud.Invalid, "Unable to associate floating IP %s to any fixed IPs for instance %s. Instance has no fixed IPv4 addresses to associate.", ip, id)
	}
	f, err := s.floatingByAddress(ctx, c, op, ip)
	if err != nil {
		return err
	}
	_, err = s.network.UpdateFloatingIP(ctx, c, f.ID, network.FloatingUpdate{PortID: &port, FixedIP: &at})
	if err != nil && !cloud.Is(err, cloud.Forbidden) {
		return cloud.E(op, cloud.Invalid, "Unable to associate floating IP %s to fixed IP %s for instance %s. Error: %s", ip, at, id, cloud.Message(err))
	}
	return err
}

// RemoveFloatingIP takes a floating IP off a server; NotFound, Conflict when it is
// not on it.
func (s *Service) RemoveFloatingIP(ctx context.Context, c cloud.Caller, id string, ip netip.Addr) error {
	const op = "compute.RemoveFloatingIP"
	err := s.store.View(ctx, func(tx *store.Tx) error {
		_, err := serverTx(tx, op, c, id)
		return err
	})
	if err != nil {
		return err
	}
	f, err := s.floatingByAddress(ctx, c, op, ip)
	if err != nil {
		return err
	}
	if f.ServerID != id {
		return cloud.E(op, cloud.Conflict, "Floating IP %s is not associated with instance %s.", ip, id)
	}
	none := ""
	_, err = s.network.UpdateFloatingIP(ctx, c, f.ID, network.FloatingUpdate{PortID: &none})
	return err
}
