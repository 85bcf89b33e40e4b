package compute

import (
	"context"
	"net/netip"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/service/network"
	"hearth/internal/service/placement"
	"hearth/internal/store"
)

// plugStates are the states in which a server's NICs change.
var plugStates = []string{cloud.VMActive, cloud.VMPaused, cloud.VMStopped}

// AttachInterface gives a server one more NIC: the port that is asked for, or a
// new one on the network asked for, or, where neither is, on the one network that
// the project has. The node plugs it in while the guest runs.
func (s *Service) AttachInterface(ctx context.Context, a Actor, id string, ask NetworkAsk) (d Detail, portID string, err error) {
	const op = "compute.AttachInterface"
	d, err = s.change(ctx, op, a, id, "attach_interface", func(tx *store.Tx, v *cloud.Server) error {
		if err := rewirable(op, a, *v, "attach_interface"); err != nil {
			return err
		}
		p, err := s.socket(tx, op, a.Caller, ask)
		if err != nil {
			return err
		}
		port, err := s.plugOne(tx, a.Caller, v, p)
		if err != nil {
			return attachFailed(op, err, ask, v.ID)
		}
		if port, err = s.network.BindPortTx(tx, s.onHost(tx, *v, port)); err != nil {
			return err
		}
		portID = port.ID
		v.PortOrder = append(slices.Clone(v.PortOrder), port.ID)
		tagNIC(v, port.ID, ask.Tag)
		s.want(v)
		return nil
	})
	return d, portID, err
}

// rewirable refuses a change of a server's NICs that its lock or its state does not
// allow.
func rewirable(op string, a Actor, v cloud.Server, action string) error {
	if err := unlocked(op, a.Caller, v); err != nil {
		return err
	}
	return v.Check(op, action, plugStates...)
}

// socket checks what a NIC is asked to be plugged into. What it refers to is a
// part of the request's address here: that it is not there is NotFound.
func (s *Service) socket(tx *store.Tx, op string, c cloud.Caller, ask NetworkAsk) (p plug, err error) {
	if p.groups, err = s.groups(tx, op, c, nil); err != nil {
		return p, err
	}
	p.ip, p.tag = ask.FixedIP, ask.Tag
	switch {
	case ask.PortID != "":
		port, err := s.network.PortTx(tx, c, ask.PortID)
		if cloud.Is(err, cloud.NotFound) || err == nil && !c.Owns(port.ProjectID) {
			return p, cloud.E(op, cloud.NotFound, "Port id %s could not be found.", ask.PortID)
		}
		if err != nil {
			return p, err
		}
		p.port, err = s.freePort(tx, op, c, ask.PortID)
		return p, err
	case ask.NetworkID == "":
		if ask.NetworkID, err = s.soleNetwork(tx, op, c); err != nil {
			return p, err
		}
	default:
		if _, err := s.network.NetworkTx(tx, c, ask.NetworkID); err != nil {
			return p, cloud.E(op, cloud.KindOf(err), "Network %s could not be found.", ask.NetworkID)
		}
	}
	p.network, err = s.usableNetwork(tx, op, c, ask.NetworkID)
	return p, err
}

// soleNetwork is the network of a NIC for which none was named.
func (s *Service) soleNetwork(tx *store.Tx, op string, c cloud.Caller) (string, error) {
	usable, err := s.network.NetworksForServerTx(tx, c)
	switch {
	case cloud.Is(err, cloud.Conflict):
		return "", cloud.E(op, cloud.Invalid, "More than one possible network found. Specify network ID(s) to select which one(s) to connect to.")
	case err != nil:
		return "", err
	case len(usable) == 0:
		return "", cloud.E(op, cloud.Invalid, "No specific network was requested and none are available for project '%s'.", c.ProjectID)
	}
	return usable[0].ID, nil
}

// attachFailed says in nova's words why no port could be made.
func attachFailed(op string, err error, ask NetworkAsk, server string) error {
	if cloud.Is(err, cloud.Conflict) && ask.FixedIP.IsValid() {
		return cloud.E(op, cloud.Conflict, "Fixed IP address %s is already in use on instance %s.", ask.FixedIP, server)
	}
	if cloud.Is(err, cloud.Conflict) && ask.PortID == "" {
		return cloud.E(op, cloud.Invalid, "%s", cloud.Message(err)) // no address is left
	}
	return err
}

// onHost is a port as it is bound to the host that a server is on.
func (s *Service) onHost(tx *store.Tx, v cloud.Server, p cloud.Port) cloud.Port {
	if v.Node == "" {
		return p
	}
	p.Host = v.Node
	if zone, err := placement.ZoneTx(tx, v.Node); err == nil {
		p.DeviceOwner = cloud.OwnerComputePrefix + zone
	}
	return p
}

// DetachInterface takes a NIC off a server. A port that was made for it goes, one
// that its owner made stays.
func (s *Service) DetachInterface(ctx context.Context, a Actor, id, portID string) error {
	const op = "compute.DetachInterface"
	_, err := s.change(ctx, op, a, id, "detach_interface", func(tx *store.Tx, v *cloud.Server) error {
		if err := rewirable(op, a, *v, "detach_interface"); err != nil {
			return err
		}
		port, err := s.network.PortTx(tx, a.Caller, portID)
		if cloud.Is(err, cloud.NotFound) || err == nil && port.DeviceID != v.ID {
			return cloud.E(op, cloud.NotFound, "Port id %s could not be found.", portID)
		}
		if err != nil {
			return err
		}
		if port.Preserve {
			err = s.network.UnbindPortTx(tx, port)
		} else {
			err = s.network.DeletePortTx(tx, port)
		}
		if err != nil {
			return err
		}
		v.PortOrder = slices.DeleteFunc(slices.Clone(v.PortOrder), func(p string) bool { return p == portID })
		untagNIC(v, portID)
		s.want(v)
		return nil
	})
	return err
}

// AddFixedIP gives the server one more address, of a network that it is on.
func (s *Service) AddFixedIP(ctx context.Context, a Actor, id, networkID string) error {
	const op = "compute.AddFixedIP"
	return s.readdress(ctx, op, a, id, "addFixedIp", func(p cloud.Port) ([]network.IPRequest, bool) {
		if p.NetworkID != networkID || len(p.FixedIPs) == 0 {
			return nil, false
		}
		return append(addressesAsked(p, netip.Addr{}), network.IPRequest{SubnetID: p.FixedIPs[0].SubnetID}), true
	}, cloud.E(op, cloud.NotFound, "Network could not be found for instance %s.", id))
}

// RemoveFixedIP takes an address off the server.
func (s *Service) RemoveFixedIP(ctx context.Context, a Actor, id string, ip netip.Addr) error {
	const op = "compute.RemoveFixedIP"
	return s.readdress(ctx, op, a, id, "removeFixedIp", func(p cloud.Port) ([]network.IPRequest, bool) {
		has := slices.ContainsFunc(p.FixedIPs, func(f cloud.FixedIP) bool { return f.IP == ip })
		return addressesAsked(p, ip), has
	}, cloud.E(op, cloud.Invalid, "Instance %s does not have fixed IP '%s'.", id, ip))
}

// addressesAsked are a port's addresses but one.
func addressesAsked(p cloud.Port, but netip.Addr) []network.IPRequest {
	list := []network.IPRequest{}
	for _, f := range p.FixedIPs {
		if f.IP != but {
			list = append(list, network.IPRequest{SubnetID: f.SubnetID, IP: f.IP})
		}
	}
	return list
}

// readdress gives the first of the server's ports that choose takes other
// addresses; none is the error.
func (s *Service) readdress(ctx context.Context, op string, a Actor, id, action string, choose func(cloud.Port) ([]network.IPRequest, bool), none error) error {
	_, err := s.change(ctx, op, a, id, action, func(tx *store.Tx, v *cloud.Server) error {
		if err := unlocked(op, a.Caller, *v); err != nil {
			return err
		}
		if err := v.Check(op, action, cloud.VMActive, cloud.VMPaused, cloud.VMStopped); err != nil {
			return err
		}
		ports, err := s.network.PortsOfDeviceTx(tx, v.ID)
		if err != nil {
			return err
		}
		slices.SortStableFunc(ports, func(x, y cloud.Port) int { return place(v.PortOrder, x.ID) - place(v.PortOrder, y.ID) })
		for _, p := range ports {
			ips, ok := choose(p)
			if !ok {
				continue
			}
			if err := s.network.SetPortIPsTx(tx, p, ips); err != nil {
				return asInvalid(op, err)
			}
			s.push(v)
			return nil
		}
		return none
	})
	return err
}
