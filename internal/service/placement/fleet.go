package placement

import (
	"time"

	"hearth/internal/cloud"
	"hearth/internal/schedule"
	"hearth/internal/store"
)

// FleetTx is the snapshot that every plan is made from, the housekeeper's and the
// services' alike: hosts, the servers on them, aggregates, server groups, and what
// clients of placement wrote.
func FleetTx(tx *store.Tx, ratios schedule.Ratios, now time.Time) (f schedule.Fleet, err error) {
	servers, err := tx.Servers.List(store.Where(store.Ne("node", "")))
	if err != nil {
		return f, err
	}
	return FleetOfTx(tx, servers, ratios, now)
}

// FleetOfTx is FleetTx with some of the servers only: without those that are to
// move.
func FleetOfTx(tx *store.Tx, servers []cloud.Server, ratios schedule.Ratios, now time.Time) (f schedule.Fleet, err error) {
	hosts, err := tx.Hosts.List(store.Query{})
	if err != nil {
		return f, err
	}
	w := schedule.World{Servers: servers}
	if w.Aggregates, err = tx.Aggregates.List(store.Query{}); err != nil {
		return f, err
	}
	if w.Groups, err = tx.ServerGroups.List(store.Query{}); err != nil {
		return f, err
	}
	if w.Providers, err = tx.Providers.List(store.Query{Order: []store.Order{{Column: "created_at"}}}); err != nil {
		return f, err
	}
	if w.Consumers, err = tx.Consumers.List(store.Query{}); err != nil {
		return f, err
	}
	f = schedule.Snapshot(hosts, servers, ratios, now)
	f.Know(w)
	return f, nil
}

// HostsTx lists the hosts, each with the availability zone that its aggregates
// give it.
func HostsTx(tx *store.Tx) ([]cloud.Host, error) {
	hosts, err := tx.Hosts.List(store.Query{})
	if err != nil {
		return nil, err
	}
	aggregates, err := tx.Aggregates.List(store.Query{})
	for i := range hosts {
		hosts[i].AvailabilityZone = cloud.ZoneOf(hosts[i], aggregates)
	}
	return hosts, err
}

// ZoneTx is the availability zone of a host by its name; NotFound.
func ZoneTx(tx *store.Tx, host string) (string, error) {
	h, err := tx.Hosts.Get(host)
	if err != nil {
		return "", err
	}
	aggregates, err := tx.Aggregates.List(store.Query{})
	return cloud.ZoneOf(h, aggregates), err
}
