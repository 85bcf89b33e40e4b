package network

import (
	"hearth/internal/cloud"
	"hearth/internal/store"
)

// setGateway gives a router its way out, another one, or none.
func (s *Service) setGateway(tx *store.Tx, c cloud.Caller, r *cloud.Router, g Gateway, verb string) error {
	if err := mayGateway(c, g, verb); err != nil {
		return err
	}
	if g.NetworkID == "" {
		return s.dropGateway(tx, r)
	}
	n, err := seeNetwork(tx, c, g.NetworkID)
	if err != nil {
		return err
	}
	if !n.External {
		return badRequest("router", "Network %s is not an external network", n.ID)
	}
	if err := checkExternalIPs(tx, n.ID, g); err != nil {
		return err
	}
	if err := checkGatewayOverlap(tx, *r, n.ID); err != nil {
		return err
	}
	r.EnableSNAT = or(g.EnableSNAT, true)
	if r.GatewayNetworkID == n.ID {
		return s.moveGateway(tx, *r, g)
	}
	if err := s.dropGateway(tx, r); err != nil {
		return err
	}
	// No project owns the port: its owner is the cloud, and nobody's quota pays.
	p, err := s.insertPort(tx, cloud.Port{
		NetworkID: n.ID, AdminStateUp: true, DeviceID: r.ID, DeviceOwner: cloud.OwnerRouterGateway,
	}, g.FixedIPs)
	if err != nil {
		return err
	}
	r.GatewayNetworkID, r.GatewayPortID = n.ID, p.ID
	return nil
}

// mayGateway refuses what only an admin may say of a gateway.
func mayGateway(c cloud.Caller, g Gateway, verb string) error {
	rule := "rule:" + verb + "_router"
	switch {
	case c.IsAdmin():
		return nil
	case g.EnableSNAT != nil:
		return forbidden("(" + rule + " and " + rule + ":external_gateway_info:enable_snat)")
	case g.FixedIPs != nil && len(*g.FixedIPs) > 0:
		return forbidden("(" + rule + " and " + rule + ":external_gateway_info:external_fixed_ips)")
	}
	return nil
}

// checkExternalIPs refuses the address of the next router for ours.
func checkExternalIPs(tx *store.Tx, networkID string, g Gateway) error {
	subnets, err := tx.Subnets.List(store.Where(store.Eq("network_id", networkID)))
	if err != nil {
		return err
	}
	for _, f := range or(g.FixedIPs, nil) {
		for _, sub := range subnets {
			if f.IP.IsValid() && f.IP == sub.Gateway {
				return badRequest("router", "External IP %s is the same as the gateway IP", f.IP)
			}
		}
	}
	return nil
}

// checkGatewayOverlap refuses a gateway network whose subnets overlap with
// those the router is on already.
func checkGatewayOverlap(tx *store.Tx, r cloud.Router, networkID string) error {
	if r.GatewayNetworkID == networkID {
		return nil
	}
	subnets, err := tx.Subnets.List(store.Where(store.Eq("network_id", networkID)))
	if err != nil {
		return err
	}
	for _, sub := range subnets {
		if err := checkRouterOverlap(tx, r, sub, cloud.OwnerRouterGateway); err != nil {
			return err
		}
	}
	return nil
}

// moveGateway changes the addresses of a gateway port that stays.
func (s *Service) moveGateway(tx *store.Tx, r cloud.Router, g Gateway) error {
	if g.FixedIPs == nil || len(*g.FixedIPs) == 0 {
		return nil
	}
	p, err := tx.Ports.Get(r.GatewayPortID)
	if err != nil {
		return err
	}
	if err := s.reallot(tx, &p, *g.FixedIPs); err != nil {
		return err
	}
	return s.savePort(tx, p)
}

// dropGateway takes a router's way out, unless a floating IP needs it.
func (s *Service) dropGateway(tx *store.Tx, r *cloud.Router) error {
	if r.GatewayPortID == "" {
		return nil
	}
	n, err := tx.FloatingIPs.Count(store.Eq("router_id", r.ID), store.Eq("network_id", r.GatewayNetworkID))
	if err != nil {
		return err
	}
	if n > 0 {
		return conflict("RouterExternalGatewayInUseByFloatingIp", "Gateway cannot be updated for router %s, since a gateway to external network %s is required by one or more floating IPs.", r.ID, r.GatewayNetworkID)
	}
	p, err := tx.Ports.Get(r.GatewayPortID)
	if err != nil {
		return err
	}
	r.GatewayNetworkID, r.GatewayPortID, r.EnableSNAT = "", "", true
	return s.DeletePortTx(tx, p)
}
