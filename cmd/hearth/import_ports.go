package main

import (
	"fmt"
	"slices"

	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"

	"hearth/internal/opennebula"
)

// networkOf finds the network of a NIC: one of the project, else one that is shared. By its id it may be
// any.
func (in *nebula) networkOf(n opennebula.NIC) (string, error) {
	word := n.Network
	if n.Bridge || word == "" {
		word = in.network
	}
	var own, shared []networks.Network
	for _, w := range in.networks {
		switch {
		case w.ID == word:
			return w.ID, nil
		case w.Name != word && (word != "" || !w.AdminStateUp || len(w.Subnets) == 0):
		case w.ProjectID == in.project:
			own = append(own, w)
		case w.Shared:
			shared = append(shared, w)
		}
	}
	found := own
	if len(own) == 0 || word == "" {
		found = append(found, shared...)
	}
	switch {
	case len(found) == 1:
		return found[0].ID, nil
	case word == "" && len(found) > 1:
		return "", fmt.Errorf("a NIC on %q could be on any of %d networks: say by --network which", n.Network, len(found))
	}
	return "", fmt.Errorf("%d networks of this project, or shared ones, are called %q, for a NIC on %q", len(found), word, n.Network)
}

// portOf looks for the holder of a NIC's MAC: the port of an import that broke off is
// taken again, all others that are in its way end it. An empty one is none.
func (in *nebula) portOf(m opennebula.Machine, n opennebula.NIC) (string, error) {
	if n.MAC == "" {
		return "", nil
	}
	network, err := in.networkOf(n)
	if err != nil {
		return "", err
	}
	list, err := in.portsBy(ports.ListOpts{MACAddress: n.MAC})
	list = slices.DeleteFunc(list, func(p ports.Port) bool { return p.ProjectID != in.project && p.NetworkID != network }) // which an admin alone sees
	if err != nil || len(list) == 0 {
		return "", err
	}
	p := list[0]
	if len(list) == 1 && in.waits(p, m, network) {
		return p.ID, nil
	}
	return "", fmt.Errorf("its MAC %s is that of port %s (%s) on network %s, of device %q: delete one, or take MAC out of the template", n.MAC, p.ID, p.Name, p.NetworkID, p.DeviceID)
}

// portsBy lists ports.
func (in *nebula) portsBy(by ports.ListOpts) ([]ports.Port, error) {
	pages, err := ports.List(in.neutron, by).AllPages(in.ctx)
	if err != nil {
		return nil, refusal(err)
	}
	return ports.ExtractPorts(pages)
}

// waits tells whether a port is one that was made for a machine, and no server has yet.
func (in *nebula) waits(p ports.Port, m opennebula.Machine, network string) bool {
	return p.ProjectID == in.project && p.DeviceID == "" && p.Name == m.Name && p.NetworkID == network
}

// ports gives the ports of a machine's NICs, in their order: those that an import which broke off left,
// and new ones for the others.
func (in *nebula) ports(m opennebula.Machine) (ids []string, err error) {
	left, err := in.portsBy(ports.ListOpts{Name: m.Name, ProjectID: in.project})
	if err != nil {
		return nil, err
	}
	left = slices.DeleteFunc(left, func(p ports.Port) bool { // what is another NIC's by its MAC
		return slices.ContainsFunc(m.NICs, func(n opennebula.NIC) bool { return n.MAC == p.MACAddress })
	})
	for at, n := range m.NICs {
		network, err := in.networkOf(n)
		if err != nil {
			return nil, err
		}
		id, err := in.portOf(m, n)
		if n.MAC == "" {
			i := slices.IndexFunc(left, func(p ports.Port) bool { return in.waits(p, m, network) && fits(p, m.NICs, at) })
			if i >= 0 {
				id = left[i].ID
				left = slices.Delete(left, i, i+1)
			}
		}
		if err == nil && id == "" {
			id, err = in.port(m, n, network)
		}
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// fits tells whether a port has the address of a NIC, or of one without, none of another's.
func fits(p ports.Port, nics []opennebula.NIC, at int) bool {
	if a := nics[at].Address; a.IsValid() {
		return hasAddress(p, a)
	}
	return !slices.ContainsFunc(nics, func(n opennebula.NIC) bool { return n.Address.IsValid() && hasAddress(p, n.Address) })
}

// port makes a port for a NIC.
func (in *nebula) port(m opennebula.Machine, n opennebula.NIC, network string) (string, error) {
	opts := ports.CreateOpts{NetworkID: network, Name: m.Name, MACAddress: n.MAC}
	if n.Address.IsValid() {
		opts.FixedIPs = []ports.IP{{IPAddress: n.Address.String()}}
	}
	p, err := ports.Create(in.ctx, in.neutron, opts).Extract()
	if err != nil {
		return "", refusal(err)
	}
	fmt.Fprintf(in.out, "port %s %s\n", p.ID, p.MACAddress)
	return p.ID, nil
}
