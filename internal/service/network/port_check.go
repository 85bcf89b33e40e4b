package network

import (
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// maxPairs bounds the allowed address pairs of a port.
const maxPairs = 10

// checkDevice refuses a port that poses as the interface of another project's
// router.
func checkDevice(tx *store.Tx, c cloud.Caller, p cloud.Port) error {
	if c.IsAdmin() || p.DeviceOwner != cloud.OwnerRouterInterface {
		return nil
	}
	r, err := tx.Routers.Get(p.DeviceID)
	if err != nil && !cloud.Is(err, cloud.NotFound) {
		return err
	}
	if err != nil || !c.Owns(r.ProjectID) {
		return conflict("DeviceIDNotOwnedByTenant", "The following device_id %s is not owned by your tenant or matches another tenants router.", p.DeviceID)
	}
	return nil
}

// chooseGroups gives the ids of the groups that a port wears: the ones asked
// for, or its project's default one.
func (s *Service) chooseGroups(tx *store.Tx, c cloud.Caller, p cloud.Port, asked *[]string) ([]string, error) {
	if serviceOwner(p.DeviceOwner) {
		return nil, nil
	}
	if asked == nil {
		if !p.PortSecurity {
			return nil, nil
		}
		g, err := s.DefaultGroupTx(tx, p.ProjectID)
		return []string{g.ID}, err
	}
	if len(*asked) > 0 && !p.PortSecurity {
		return nil, refuse(cloud.Invalid, "PortSecurityAndIPRequiredForSecurityGroups", "Port security must be enabled and port must have an IP address in order to use security groups.")
	}
	return checkGroups(tx, c, p.ProjectID, *asked)
}

// checkGroups refuses groups that are not the project's, and a mix of stateful
// and stateless ones.
func checkGroups(tx *store.Tx, c cloud.Caller, projectID string, ids []string) ([]string, error) {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	stateful := map[bool]bool{}
	for _, id := range ids {
		g, err := tx.SecurityGroups.Get(id)
		if err == nil && g.ProjectID != projectID && !c.IsAdmin() {
			err = noGroup(id)
		}
		if _, err = got(g, err, noGroup(id)); err != nil {
			return nil, err
		}
		stateful[g.Stateful] = true
	}
	if len(stateful) > 1 {
		return nil, conflict("SecurityGroupConflict", "Error Cannot apply both stateful and stateless security groups on the same port at the same time while attempting the operation.")
	}
	return ids, nil
}

// pairs judges allowed address pairs and completes their MACs.
func pairs(p cloud.Port, asked []PairRequest) ([]cloud.AddressPair, error) {
	if len(asked) > maxPairs {
		return nil, refuse(cloud.Invalid, "AllowedAddressPairExhausted", "The number of allowed address pair exceeds the maximum %d.", maxPairs)
	}
	if len(asked) > 0 && !p.PortSecurity {
		return nil, conflict("AddressPairAndPortSecurityRequired", "Port Security must be enabled in order to have allowed address pairs on a port.")
	}
	out := []cloud.AddressPair{}
	for _, a := range asked {
		pair := cloud.AddressPair{MAC: strings.ToLower(a.MAC), IP: a.IP}
		if pair.MAC == "" {
			pair.MAC = p.MAC
		}
		if slices.Contains(out, pair) {
			return nil, refuse(cloud.Invalid, "DuplicateAddressPairInRequest", "Invalid input for operation: Request contains duplicate address pair: mac_address %s ip_address %s.", pair.MAC, pair.IP)
		}
		out = append(out, pair)
	}
	return out, nil
}

// mergeOptions applies changes to the DHCP options of a port: an option is
// known by its name and IP version.
func mergeOptions(options []cloud.DHCPOption, changes []DHCPOptionChange) []cloud.DHCPOption {
	out := slices.Clone(options)
	for _, c := range changes {
		i := slices.IndexFunc(out, func(o cloud.DHCPOption) bool { return o.Name == c.Name && o.IPVersion == c.IPVersion })
		switch {
		case c.Value == nil && i >= 0:
			out = slices.Delete(out, i, i+1)
		case c.Value == nil:
		case i >= 0:
			out[i].Value = *c.Value
		default:
			out = append(out, cloud.DHCPOption{Name: c.Name, Value: *c.Value, IPVersion: c.IPVersion})
		}
	}
	return out
}
