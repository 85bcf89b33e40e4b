package network

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// PortCreate asks for a port.
type PortCreate struct {
	ProjectID, NetworkID, Name, Description string
	AdminStateUp, PortSecurity              *bool
	MAC                                     string       // "" for a random one
	FixedIPs                                *[]IPRequest // nil for the usual ones
	DeviceID, DeviceOwner                   string
	SecurityGroups                          *[]string // nil for the default one
	AllowedPairs                            []PairRequest
	DHCPOptions                             []cloud.DHCPOption
	Host, VNICType, DNSName                 string
	QoSPolicyID                             string
	Profile                                 map[string]any
	Tags                                    []string
	Preserve                                bool // made by the user: kept when its server is deleted
}

// PairRequest is a further source address; without a MAC, the port's own.
type PairRequest struct {
	MAC string
	IP  netip.Prefix
}

// PortUpdate changes what is not nil.
type PortUpdate struct {
	Name, Description          *string
	AdminStateUp, PortSecurity *bool
	MAC                        *string
	FixedIPs                   *[]IPRequest
	DeviceID, DeviceOwner      *string
	SecurityGroups             *[]string
	AllowedPairs               *[]PairRequest
	DHCPOptions                []DHCPOptionChange
	Host, VNICType, DNSName    *string
	QoSPolicyID                *string // "" for none
	Profile                    *map[string]any
}

// DHCPOptionChange sets an option of a port, or with no value removes it.
type DHCPOptionChange struct {
	Name      string
	Value     *string
	IPVersion int
}

// routerOwner tells whether the device owner is a router.
func routerOwner(owner string) bool {
	return owner == cloud.OwnerRouterInterface || owner == cloud.OwnerRouterGateway
}

// serviceOwner tells whether the device owner is the network service itself:
// its ports are trusted, and wear no security groups.
func serviceOwner(owner string) bool { return strings.HasPrefix(owner, "network:") }

// CreatePorts makes ports for users, all or none.
func (s *Service) CreatePorts(ctx context.Context, c cloud.Caller, reqs ...PortCreate) ([]cloud.Port, error) {
	return each(ctx, s, reqs, func(tx *store.Tx, r PortCreate) (cloud.Port, error) {
		n, err := seeNetwork(tx, c, r.NetworkID)
		if err != nil {
			return cloud.Port{}, err
		}
		if err := mayCreatePort(c, n, r); err != nil {
			return cloud.Port{}, err
		}
		r.Preserve = true
		return s.CreatePortTx(tx, c, r)
	})
}

// mayCreatePort refuses what only an admin or the network's owner may say.
func mayCreatePort(c cloud.Caller, n cloud.Network, r PortCreate) error {
	asks := PortUpdate{FixedIPs: r.FixedIPs, PortSecurity: r.PortSecurity}
	if r.DeviceOwner != "" {
		asks.DeviceOwner = &r.DeviceOwner
	}
	if r.MAC != "" {
		asks.MAC = &r.MAC
	}
	if r.Host != "" {
		asks.Host = &r.Host
	}
	if len(r.AllowedPairs) > 0 {
		asks.AllowedPairs = &r.AllowedPairs
	}
	if len(r.Profile) > 0 {
		asks.Profile = &r.Profile
	}
	if !c.Owns(n.ProjectID) && !n.Shared {
		return forbidden("rule:create_port")
	}
	return mayPort(c, n, "create", asks)
}

func mayPort(c cloud.Caller, n cloud.Network, verb string, r PortUpdate) error {
	if c.IsAdmin() {
		return nil
	}
	rule := "rule:" + verb + "_port"
	no := func(attr string) error { return forbidden("(" + rule + " and " + rule + ":" + attr + ")") }
	switch {
	case r.Host != nil:
		return no("binding:host_id")
	case r.Profile != nil:
		return no("binding:profile")
	case r.MAC != nil && verb == "update":
		return no("mac_address")
	case c.Owns(n.ProjectID):
		return nil
	case r.MAC != nil:
		return no("mac_address")
	case r.DeviceOwner != nil && serviceOwner(*r.DeviceOwner):
		return no("device_owner")
	case r.PortSecurity != nil:
		return no("port_security_enabled")
	case r.AllowedPairs != nil:
		return no("allowed_address_pairs")
	}
	for _, f := range or(r.FixedIPs, nil) {
		if f.IP.IsValid() {
			return no("fixed_ips:ip_address")
		}
	}
	return nil
}

// CreatePortTx makes a port on a network that the caller sees.
func (s *Service) CreatePortTx(tx *store.Tx, c cloud.Caller, r PortCreate) (cloud.Port, error) {
	n, err := seeNetwork(tx, c, r.NetworkID)
	if err != nil {
		return cloud.Port{}, err
	}
	owner, err := project(c, r.ProjectID)
	if err != nil {
		return cloud.Port{}, err
	}
	if err := checkQuota(tx, owner, "port", 1); err != nil {
		return cloud.Port{}, err
	}
	p := cloud.Port{
		NetworkID: n.ID, ProjectID: owner, Name: r.Name, Description: r.Description, AdminStateUp: or(r.AdminStateUp, true),
		MAC: strings.ToLower(r.MAC), DeviceID: r.DeviceID, DeviceOwner: r.DeviceOwner, DHCPOptions: r.DHCPOptions,
		Host: r.Host, VNICType: r.VNICType, DNSName: r.DNSName, Profile: r.Profile, Tags: r.Tags, Preserve: r.Preserve,
		QoSPolicyID: r.QoSPolicyID,
	}
	if err := chooseQoS(tx, c, &r.QoSPolicyID); err != nil {
		return p, err
	}
	if err := checkDevice(tx, c, p); err != nil {
		return p, err
	}
	p.PortSecurity = or(r.PortSecurity, n.PortSecurity) && !serviceOwner(p.DeviceOwner)
	if p.SecurityGroups, err = s.chooseGroups(tx, c, p, r.SecurityGroups); err != nil {
		return p, err
	}
	if p, err = s.insertPort(tx, p, r.FixedIPs); err != nil {
		return p, err
	}
	if len(r.AllowedPairs) > 0 {
		if p.AllowedPairs, err = pairs(p, r.AllowedPairs); err != nil {
			return p, err
		}
		if err := tx.Ports.Update(p); err != nil {
			return p, err
		}
	}
	return p, s.serveDHCP(tx, n)
}

// insertPort completes a port with its id, its MAC and its addresses, and
// writes it.
func (s *Service) insertPort(tx *store.Tx, p cloud.Port, asked *[]IPRequest) (cloud.Port, error) {
	now := s.clock.Now()
	p.ID, p.CreatedAt, p.UpdatedAt, p.Revision = cloud.NewID(), now, now, 1
	if p.VNICType == "" {
		p.VNICType = "normal"
	}
	if err := chooseMAC(tx, &p); err != nil {
		return p, err
	}
	if err := s.allot(tx, &p, asked); err != nil {
		return p, err
	}
	return p, tx.Ports.Insert(p)
}

// chooseMAC makes a MAC that is new on the network, or refuses one that is not.
func chooseMAC(tx *store.Tx, p *cloud.Port) error {
	asked := p.MAC
	for range 16 {
		if asked == "" {
			p.MAC = newMAC()
		}
		n, err := tx.Ports.Count(store.Eq("network_id", p.NetworkID), store.Eq("mac", p.MAC))
		switch {
		case err != nil:
			return err
		case n == 0:
			return nil
		case asked != "":
			return conflict("MacAddressInUse", "Unable to complete operation for network %s. The mac address %s is in use.", p.NetworkID, p.MAC)
		}
	}
	return refuse(cloud.Unavailable, "NetworkMacAddressGenerationFailure", "Unable to generate unique mac on network %s.", p.NetworkID)
}

// newMAC makes a MAC of neutron's base fa:16:3e.
func newMAC() string {
	var b [3]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand aborts the process instead
	return fmt.Sprintf("fa:16:3e:%02x:%02x:%02x", b[0], b[1], b[2])
}

// GetPort gives a port that the caller may see.
func (s *Service) GetPort(ctx context.Context, c cloud.Caller, id string) (cloud.Port, error) {
	return view(ctx, s, func(tx *store.Tx) (cloud.Port, error) { return seePort(tx, c, id) })
}

// ListPorts lists the ports that the caller may see.
func (s *Service) ListPorts(ctx context.Context, c cloud.Caller, f Filter) ([]cloud.Port, error) {
	return view(ctx, s, func(tx *store.Tx) ([]cloud.Port, error) {
		mine := map[string]bool{}
		if !c.IsAdmin() {
			nets, err := tx.Networks.List(store.Where(store.Eq("project_id", c.ProjectID)))
			if err != nil {
				return nil, err
			}
			for _, n := range nets {
				mine[n.ID] = true
			}
		}
		where := in(in(in(nil, "id", f.IDs), "network_id", f.NetworkIDs), "device_id", f.DeviceIDs)
		rows, err := tx.Ports.List(byAge(where))
		return keep(rows, err, func(p cloud.Port) bool { return c.Owns(p.ProjectID) || mine[p.NetworkID] })
	})
}

// DeletePort removes a port that is no router's or floating IP's.
func (s *Service) DeletePort(ctx context.Context, c cloud.Caller, id string) error {
	return s.change(ctx, func(tx *store.Tx) error {
		p, err := seePort(tx, c, id)
		if err != nil {
			return err
		}
		if routerOwner(p.DeviceOwner) || p.DeviceOwner == cloud.OwnerFloatingIP {
			return conflict("ServicePortInUse", "Port %s cannot be deleted directly via the port API: has device owner %s.", p.ID, p.DeviceOwner)
		}
		if err := checkNoTrunk(tx, p); err != nil {
			return err
		}
		if err := s.DeletePortTx(tx, p); err != nil {
			return err
		}
		return s.loseNIC(tx, p)
	})
}

// loseNIC has the server's node know that a port of its guest's is no more.
func (s *Service) loseNIC(tx *store.Tx, p cloud.Port) error {
	if !strings.HasPrefix(p.DeviceOwner, cloud.OwnerComputePrefix) {
		return nil
	}
	v, err := tx.Servers.Get(p.DeviceID)
	if cloud.Is(err, cloud.NotFound) || err == nil && v.Node == "" {
		return nil
	}
	if err != nil {
		return err
	}
	v.Intent.Generation++
	v.NextAttemptAt, v.Attempt = s.clock.Now(), 0
	return tx.Servers.Update(v)
}

// DeletePortTx removes a port with its addresses and its trunk, and takes floating
// IPs off it.
func (s *Service) DeletePortTx(tx *store.Tx, p cloud.Port) error {
	if err := s.dropTrunkOf(tx, p); err != nil {
		return err
	}
	if err := s.unmapPort(tx, p.ID, nil); err != nil {
		return err
	}
	if err := release(tx, p.ID); err != nil {
		return err
	}
	return tx.Ports.Delete(p.ID)
}
