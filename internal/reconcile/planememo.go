package reconcile

import (
	"reflect"
	"slices"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// planeTables are all that a plane is composed of but networks and subnets, which come
// and go for themselves, on no node, until something has a port on them.
var planeTables = []string{
	"ports", "servers", "routers", "floating_ips", "security_groups", "security_group_rules", "subnet_pools", "qos_policies", "port_forwardings",
	"network_agents", "trunks", "trunk_subports", "metering_labels", "metering_label_rules", "address_groups",
}

// memoLasts is how long a node's plane is believed to be as it was pushed without
// being composed again: everything is, on the slow beat.
const memoLasts = 25 * time.Second

// planeMemo is what a plane that was pushed was composed of: while that stays, there is
// nothing to compose. The zero one knows nothing.
type planeMemo struct {
	at       time.Time
	heard    []int64 // of planeTables
	networks []memoNetwork
}

type memoNetwork struct {
	network cloud.Network
	subnets []cloud.Subnet
}

// remember notes what a plane was composed of, in the same transaction.
func remember(tx *store.Tx, p plane, heard []int64, at time.Time) (planeMemo, error) {
	m := planeMemo{at: at, heard: heard}
	for _, spec := range p.networks {
		n, err := readMemo(tx, spec.ID)
		if err != nil {
			return planeMemo{}, err
		}
		m.networks = append(m.networks, n)
	}
	return m, nil
}

func readMemo(tx *store.Tx, id string) (m memoNetwork, err error) {
	if m.network, err = tx.Networks.Get(id); err != nil {
		return m, err
	}
	m.subnets, err = tx.Subnets.List(store.Where(store.Eq("network_id", id)))
	return m, err
}

// holds tells whether the plane would be composed as it was.
func (m planeMemo) holds(tx *store.Tx, heard []int64, now time.Time) (bool, error) {
	if m.heard == nil || !slices.Equal(m.heard, heard) || now.Sub(m.at) >= memoLasts {
		return false, nil
	}
	for _, was := range m.networks {
		is, err := readMemo(tx, was.network.ID)
		if err != nil || !reflect.DeepEqual(was, is) {
			return false, unlessGone(err)
		}
	}
	return true, nil
}
