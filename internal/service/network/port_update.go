package network

import (
	"context"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// UpdatePort changes a port of the caller's.
func (s *Service) UpdatePort(ctx context.Context, c cloud.Caller, id string, r PortUpdate) (cloud.Port, error) {
	return update(ctx, s, func(tx *store.Tx) (cloud.Port, error) {
		p, err := seePort(tx, c, id)
		if err != nil {
			return p, err
		}
		n, err := tx.Networks.Get(p.NetworkID)
		if err != nil {
			return p, err
		}
		if err := mayPort(c, n, "update", r); err != nil {
			return p, err
		}
		return s.changePort(tx, c, p, r)
	})
}

func (s *Service) changePort(tx *store.Tx, c cloud.Caller, p cloud.Port, r PortUpdate) (cloud.Port, error) {
	set(&p.Name, r.Name)
	set(&p.Description, r.Description)
	set(&p.AdminStateUp, r.AdminStateUp)
	set(&p.DeviceID, r.DeviceID)
	set(&p.DeviceOwner, r.DeviceOwner)
	set(&p.Host, r.Host)
	set(&p.VNICType, r.VNICType)
	if err := chooseQoS(tx, c, r.QoSPolicyID); err != nil {
		return p, err
	}
	set(&p.QoSPolicyID, r.QoSPolicyID)
	set(&p.DNSName, r.DNSName)
	set(&p.Profile, r.Profile)
	p.DHCPOptions = mergeOptions(p.DHCPOptions, r.DHCPOptions)
	if r.DeviceID != nil || r.DeviceOwner != nil {
		if err := checkDevice(tx, c, p); err != nil {
			return p, err
		}
	}
	if err := s.changeSecurity(tx, c, &p, r); err != nil {
		return p, err
	}
	if r.MAC != nil && !strings.EqualFold(*r.MAC, p.MAC) {
		if err := s.changeMAC(tx, &p, *r.MAC); err != nil {
			return p, err
		}
	}
	if r.FixedIPs != nil {
		if err := s.changeIPs(tx, &p, *r.FixedIPs); err != nil {
			return p, err
		}
	}
	if r.AllowedPairs != nil {
		var err error
		if p.AllowedPairs, err = pairs(p, *r.AllowedPairs); err != nil {
			return p, err
		}
	}
	p.UpdatedAt, p.Revision = s.clock.Now(), p.Revision+1
	if err := tx.Ports.Update(p); err != nil {
		return p, err
	}
	return p, s.tellServer(tx, p.ID)
}

// changeSecurity changes groups and port security, which hang together.
func (s *Service) changeSecurity(tx *store.Tx, c cloud.Caller, p *cloud.Port, r PortUpdate) error {
	set(&p.PortSecurity, r.PortSecurity)
	if r.SecurityGroups != nil {
		ids, err := s.chooseGroups(tx, c, *p, r.SecurityGroups)
		if err != nil {
			return err
		}
		p.SecurityGroups = ids
	}
	if p.PortSecurity {
		return nil
	}
	if len(p.SecurityGroups) > 0 {
		return conflict("PortSecurityPortHasSecurityGroup", "Port has security group associated. Cannot disable port security or IP address until security group is removed.")
	}
	if len(p.AllowedPairs) > 0 && r.AllowedPairs == nil {
		return conflict("AddressPairAndPortSecurityRequired", "Port Security must be enabled in order to have allowed address pairs on a port.")
	}
	return nil
}

// changeMAC gives a port another MAC, and with it other automatic addresses.
func (s *Service) changeMAC(tx *store.Tx, p *cloud.Port, mac string) error {
	if p.Host != "" && p.Up {
		return conflict("PortBound", "Unable to complete operation on port %s, port is already bound, port type: bridge, old_mac %s, new_mac %s.", p.ID, p.MAC, mac)
	}
	changed := *p
	changed.MAC = strings.ToLower(mac)
	if err := chooseMAC(tx, &changed); err != nil {
		return err
	}
	old := p.FixedIPs
	p.MAC, p.FixedIPs = changed.MAC, nil
	for _, f := range old {
		sub, err := tx.Subnets.Get(f.SubnetID)
		if err != nil {
			return err
		}
		if !auto(sub) || routerOwner(p.DeviceOwner) {
			p.FixedIPs = append(p.FixedIPs, f)
			continue
		}
		if err := tx.Allocations.Delete(cloud.IPAllocation{SubnetID: f.SubnetID, IP: f.IP}.Key()); err != nil {
			return err
		}
		if err := grabAuto(tx, p, sub); err != nil {
			return err
		}
	}
	return nil
}

// changeIPs gives a port other addresses. Floating IPs of those it loses are
// taken off.
func (s *Service) changeIPs(tx *store.Tx, p *cloud.Port, asked []IPRequest) error {
	if err := s.reallot(tx, p, asked); err != nil {
		return err
	}
	return s.unmapPort(tx, p.ID, p.FixedIPs)
}
