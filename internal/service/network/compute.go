package network

import (
	"cmp"
	"hearth/internal/cloud"
	"hearth/internal/store"
)

// What the compute service does with networks, inside its own transactions.

// NetworkTx gives a network that the caller may see.
func (s *Service) NetworkTx(tx *store.Tx, c cloud.Caller, id string) (cloud.Network, error) {
	return seeNetwork(tx, c, id)
}

// PortTx gives a port that the caller may see.
func (s *Service) PortTx(tx *store.Tx, c cloud.Caller, id string) (cloud.Port, error) {
	return seePort(tx, c, id)
}

// NetworksForServerTx gives the network that a server gets when nobody said
// which: the only one of the project's own and the shared ones. Several are a
// Conflict in nova's words; none is an empty list, and the server has no port.
func (s *Service) NetworksForServerTx(tx *store.Tx, c cloud.Caller) ([]cloud.Network, error) {
	rows, err := listPersonal(tx, c, byAge(nil))
	rows, err = keep(rows, err, func(n cloud.Network) bool {
		return n.AdminStateUp && (n.Shared || n.ProjectID == c.ProjectID) && (!n.External || n.Shared)
	})
	if err != nil {
		return nil, err
	}
	if len(rows) > 1 {
		return nil, conflict("NetworkAmbiguous", "Multiple possible networks found, use a Network ID to be more specific.")
	}
	return rows, nil
}

// GroupsTx gives the ids of the caller's security groups with the names or ids,
// in order.
func (s *Service) GroupsTx(tx *store.Tx, c cloud.Caller, names []string) ([]string, error) {
	if _, err := s.DefaultGroupTx(tx, c.ProjectID); err != nil {
		return nil, err
	}
	rows, err := tx.SecurityGroups.List(store.Where(store.Eq("project_id", c.ProjectID)))
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, name := range names {
		found := []string{}
		for _, g := range rows {
			if g.ID == name {
				found = []string{g.ID}
				break
			}
			if g.Name == name {
				found = append(found, g.ID)
			}
		}
		switch len(found) {
		case 0:
			return nil, refuse(cloud.NotFound, "SecurityGroupNotFound", "Security group %s not found.", name)
		case 1:
			ids = append(ids, found[0])
		default:
			return nil, conflict("NoUniqueMatch", "Multiple security groups found matching '%s'. Use an ID to be more specific.", name)
		}
	}
	return ids, nil
}

// PortsOfDeviceTx gives the ports of a device, the oldest first.
func (s *Service) PortsOfDeviceTx(tx *store.Tx, deviceID string) ([]cloud.Port, error) {
	return tx.Ports.List(byAge([]store.Cond{store.Eq("device_id", deviceID)}))
}

// BindPortTx writes the port's DeviceID, DeviceOwner, Host, DNSName and Profile
// as they are in p, unless another device has the port.
func (s *Service) BindPortTx(tx *store.Tx, p cloud.Port) (cloud.Port, error) {
	now, err := tx.Ports.Get(p.ID)
	if err != nil {
		return p, err
	}
	if now.DeviceID != "" && now.DeviceID != p.DeviceID {
		return now, conflict("PortInUse", "Port %s is still in use.", p.ID)
	}
	if sub, err := tx.SubPorts.Count(store.Eq("id", p.ID)); err != nil || sub > 0 {
		return now, cmp.Or(err, conflict("PortInUse", "Port %s is still in use, as a sub-port of a trunk.", p.ID))
	}
	now.DeviceID, now.DeviceOwner, now.Host, now.DNSName, now.Profile = p.DeviceID, p.DeviceOwner, p.Host, p.DNSName, p.Profile
	now.UpdatedAt, now.Revision = s.clock.Now(), now.Revision+1
	return now, tx.Ports.Update(now)
}

// UnbindPortTx takes a port off its device and keeps it.
func (s *Service) UnbindPortTx(tx *store.Tx, p cloud.Port) error {
	now, err := tx.Ports.Get(p.ID)
	if err != nil {
		return err
	}
	now.DeviceID, now.DeviceOwner, now.Host, now.Up, now.DNSName = "", "", "", false, ""
	return s.savePort(tx, now)
}

// ReleaseDeviceTx takes the ports off a device that goes away: those that a user
// made stay, the others are removed.
func (s *Service) ReleaseDeviceTx(tx *store.Tx, deviceID string) error {
	ports, err := s.PortsOfDeviceTx(tx, deviceID)
	if err != nil {
		return err
	}
	for _, p := range ports {
		if p.Preserve {
			err = s.UnbindPortTx(tx, p)
		} else {
			err = s.DeletePortTx(tx, p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// FloatingIPsOfPortTx gives the floating IPs that are mapped to a port.
func (s *Service) FloatingIPsOfPortTx(tx *store.Tx, portID string) ([]cloud.FloatingIP, error) {
	return tx.FloatingIPs.List(byAge([]store.Cond{store.Eq("port_id", portID)}))
}

// SetPortIPsTx gives a port other addresses. Those that it has and that are asked
// for again stay; floating IPs of those that go are taken off.
func (s *Service) SetPortIPsTx(tx *store.Tx, p cloud.Port, ips []IPRequest) error {
	if err := s.changeIPs(tx, &p, ips); err != nil {
		return err
	}
	p.UpdatedAt, p.Revision = s.clock.Now(), p.Revision+1
	return tx.Ports.Update(p)
}
