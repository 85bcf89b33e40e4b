package network

import (
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// minMTU is the least that a network may have: the IPv4 minimum of RFC 791.
const minMTU = 68

// mtu is what a network of a type carries, or the smaller one asked for.
func (s *Service) mtu(typ string, asked *int) (int, error) {
	most := s.opts.MTU
	if typ == cloud.NetworkVXLAN {
		most -= TunnelOverhead
	}
	switch {
	case asked == nil || *asked == 0:
		return most, nil
	case *asked < minMTU:
		return 0, invalid("Requested MTU is too small, requested %d, minimum %d", *asked, minMTU)
	case *asked > most:
		return 0, invalid("Requested MTU is too big, maximum is %d", most)
	}
	return *asked, nil
}

// provide chooses how a new network is realised.
func (s *Service) provide(tx *store.Tx, n *cloud.Network, p Provider) error {
	n.Type = or(p.Type, s.opts.DefaultType)
	if p.Type == nil && p.given() {
		return invalid("network_type required")
	}
	n.PhysicalNetwork, n.SegmentationID = or(p.PhysicalNetwork, ""), or(p.SegmentationID, 0)
	switch n.Type {
	case cloud.NetworkFlat:
		return s.provideFlat(tx, n)
	case cloud.NetworkVXLAN:
		return s.provideVXLAN(tx, n)
	case cloud.NetworkLocal:
		if n.PhysicalNetwork != "" || n.SegmentationID != 0 {
			return invalid("provider:physical_network and provider:segmentation_id prohibited for local provider network")
		}
		return nil
	}
	return invalid("network_type value '%s' not supported: use flat, vxlan or local", n.Type)
}

// provideFlat puts a network on a physical one, which holds one network only.
func (s *Service) provideFlat(tx *store.Tx, n *cloud.Network) error {
	switch {
	case n.PhysicalNetwork == "":
		return invalid("physical_network required for flat provider network")
	case n.SegmentationID != 0:
		return invalid("segmentation_id prohibited for flat provider network")
	case !slices.Contains(s.opts.PhysicalNetworks, n.PhysicalNetwork):
		return invalid("physical_network '%s' unknown for flat provider network: the nodes have %s", n.PhysicalNetwork, strings.Join(s.opts.PhysicalNetworks, ", "))
	}
	taken, err := tx.Networks.Count(store.Eq("physical_network", n.PhysicalNetwork))
	if err == nil && taken > 0 {
		err = conflict("FlatNetworkInUse", "Unable to create the flat network. Physical network %s is in use.", n.PhysicalNetwork)
	}
	return err
}

// provideVXLAN gives a network a tunnel id of its own.
func (s *Service) provideVXLAN(tx *store.Tx, n *cloud.Network) error {
	switch {
	case n.PhysicalNetwork != "":
		return invalid("provider:physical_network specified for vxlan network")
	case n.SegmentationID < 0 || n.SegmentationID > maxVNI:
		return invalid("segmentation_id out of range (1 through %d)", maxVNI)
	}
	rows, err := tx.Networks.List(store.Where(store.Ne("segmentation_id", 0)))
	if err != nil {
		return err
	}
	taken := make(map[int]bool, len(rows))
	for _, other := range rows {
		taken[other.SegmentationID] = true
	}
	if id := n.SegmentationID; id != 0 {
		if taken[id] {
			return conflict("TunnelIdInUse", "Unable to create the network. The tunnel ID %d is in use.", id)
		}
		return nil
	}
	for id := s.opts.VNIMin; id <= s.opts.VNIMax; id++ {
		if !taken[id] {
			n.SegmentationID = id
			return nil
		}
	}
	return refuse(cloud.Unavailable, "NoNetworkAvailable", "Unable to create the network. No tenant network is available for allocation.")
}
