package compute

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// lastAggregate is the setting with the highest number that an aggregate ever had:
// the number of one that is gone is not given again.
const lastAggregate = "compute.last_aggregate"

// noAggregate is nova's way to say that an aggregate is not there.
func noAggregate(op string, number int) error {
	return cloud.E(op, cloud.NotFound, "Aggregate %d could not be found.", number)
}

func aggregateTx(tx *store.Tx, op string, number int) (cloud.Aggregate, error) {
	a, err := tx.Aggregates.Get(strconv.Itoa(number))
	if cloud.Is(err, cloud.NotFound) {
		err = noAggregate(op, number)
	}
	return a, err
}

// Aggregates lists the aggregates by number.
func (s *Service) Aggregates(ctx context.Context) (list []cloud.Aggregate, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		list, err = tx.Aggregates.List(store.Query{})
		return err
	})
	slices.SortFunc(list, func(a, b cloud.Aggregate) int { return a.Number - b.Number })
	return list, err
}

// Aggregate gives an aggregate; NotFound.
func (s *Service) Aggregate(ctx context.Context, number int) (a cloud.Aggregate, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		a, err = aggregateTx(tx, "compute.Aggregate", number)
		return err
	})
	return a, err
}

// CreateAggregate makes an aggregate, with a zone other than "" an availability
// zone; Conflict for a name that is taken.
func (s *Service) CreateAggregate(ctx context.Context, name, zone string) (a cloud.Aggregate, err error) {
	const op = "compute.CreateAggregate"
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		if err := freeAggregateName(tx, op, name, 0); err != nil {
			return err
		}
		n, err := nextNumber(tx, lastAggregate)
		if err != nil {
			return err
		}
		a = cloud.Aggregate{Number: n, UUID: cloud.NewID(), Name: name, Metadata: map[string]string{}, CreatedAt: s.clock.Now()}
		if zone != "" {
			a.Metadata[cloud.ZoneKey] = zone
		}
		return tx.Aggregates.Insert(a)
	})
	return a, err
}

// nextNumber counts a setting up.
func nextNumber(tx *store.Tx, name string) (int, error) {
	last, err := tx.Settings.Get(name)
	if err != nil && !cloud.Is(err, cloud.NotFound) {
		return 0, err
	}
	n, _ := strconv.Atoi(last.Value) // "" is 0
	n++
	return n, tx.Settings.Put(store.Setting{Name: name, Value: strconv.Itoa(n)})
}

func freeAggregateName(tx *store.Tx, op, name string, but int) error {
	a, err := tx.Aggregates.Find(store.Eq("name", name))
	switch {
	case cloud.Is(err, cloud.NotFound):
		return nil
	case err != nil || a.Number == but:
		return err
	}
	return cloud.E(op, cloud.Conflict, "Aggregate %s already exists.", name)
}

// changeAggregate changes an aggregate in a transaction.
func (s *Service) changeAggregate(ctx context.Context, op string, number int, change func(tx *store.Tx, a *cloud.Aggregate) error) (a cloud.Aggregate, err error) {
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		if a, err = aggregateTx(tx, op, number); err != nil {
			return err
		}
		if err := change(tx, &a); err != nil {
			return err
		}
		a.UpdatedAt = s.clock.Now()
		return tx.Aggregates.Update(a)
	})
	return a, err
}

// RenameAggregate changes the name, unless it is "", and with a zone that is not
// nil the availability zone.
func (s *Service) RenameAggregate(ctx context.Context, number int, name string, zone *string) (cloud.Aggregate, error) {
	const op = "compute.RenameAggregate"
	return s.changeAggregate(ctx, op, number, func(tx *store.Tx, a *cloud.Aggregate) error {
		if name != "" {
			if err := freeAggregateName(tx, op, name, number); err != nil {
				return err
			}
			a.Name = name
		}
		if zone == nil {
			return nil
		}
		if err := rezone(tx, op, *a, a.Hosts, *zone, "Cannot update aggregate %d. Reason: %s.", cloud.Invalid); err != nil {
			return err
		}
		a.Metadata = maps.Clone(a.Metadata)
		a.Metadata[cloud.ZoneKey] = *zone
		return nil
	})
}

// rezone refuses to give hosts a zone, in the words and of the kind given: an
// empty one, one beside another, and another than before for hosts with servers.
func rezone(tx *store.Tx, op string, a cloud.Aggregate, hosts []string, zone, format string, kind cloud.Kind) error {
	refuse := func(why string) error { return cloud.E(op, kind, format, a.Number, why) }
	if zone == "" {
		return refuse("Aggregate " + a.Name + " does not support empty named availability zone")
	}
	all, err := tx.Aggregates.List(store.Query{})
	if err != nil {
		return err
	}
	for _, other := range all {
		shared := slices.ContainsFunc(other.Hosts, func(h string) bool { return slices.Contains(hosts, h) })
		if other.Number != a.Number && shared && other.Zone() != "" && other.Zone() != zone {
			return refuse("One or more hosts already in availability zone(s) ['" + other.Zone() + "']")
		}
	}
	if zone == a.Zone() {
		return nil
	}
	for _, h := range hosts {
		n, err := tx.Servers.Count(store.Eq("node", h))
		if err != nil {
			return err
		}
		if n > 0 {
			return refuse("One or more hosts contain instances in this zone")
		}
	}
	return nil
}

// SetAggregateMetadata changes metadata: nil takes a key away.
func (s *Service) SetAggregateMetadata(ctx context.Context, number int, set map[string]*string) (cloud.Aggregate, error) {
	const op = "compute.SetAggregateMetadata"
	return s.changeAggregate(ctx, op, number, func(tx *store.Tx, a *cloud.Aggregate) error {
		zone, ok := set[cloud.ZoneKey]
		if ok {
			text := ""
			if zone != nil {
				text = *zone
			}
			if err := rezone(tx, op, *a, a.Hosts, text, "Cannot update metadata of aggregate %d. Reason: %s.", cloud.Invalid); err != nil {
				return err
			}
		}
		a.Metadata = maps.Clone(a.Metadata)
		for key, value := range set {
			if value == nil {
				delete(a.Metadata, key)
			} else {
				a.Metadata[key] = *value
			}
		}
		return nil
	})
}

// DeleteAggregate removes an aggregate without hosts; Invalid for one with some.
func (s *Service) DeleteAggregate(ctx context.Context, number int) error {
	const op = "compute.DeleteAggregate"
	return s.store.Update(ctx, func(tx *store.Tx) error {
		a, err := aggregateTx(tx, op, number)
		if err != nil {
			return err
		}
		if len(a.Hosts) > 0 {
			return cloud.E(op, cloud.Invalid, "Cannot remove aggregate %d. Reason: Host aggregate is not empty.", number)
		}
		return tx.Aggregates.Delete(a.Key())
	})
}

// AddAggregateHost puts a host into an aggregate; NotFound, Conflict for one that
// is in it or in another zone.
func (s *Service) AddAggregateHost(ctx context.Context, number int, host string) (cloud.Aggregate, error) {
	const op = "compute.AddAggregateHost"
	return s.changeAggregate(ctx, op, number, func(tx *store.Tx, a *cloud.Aggregate) error {
		h, err := tx.Hosts.Get(host)
		if cloud.Is(err, cloud.NotFound) {
			return NoHost(op, host)
		}
		if err != nil {
			return err
		}
		if slices.Contains(a.Hosts, host) {
			return cloud.E(op, cloud.Conflict, "Aggregate %d already has host %s.", number, host)
		}
		if a.Zone() != "" {
			// Servers on it change their zone with it, as in nova (compute/api.py, add_host_to_aggregate, until 26).
			if err := rezone(tx, op, *a, []string{h.Name}, a.Zone(), "Cannot add host to aggregate %d. Reason: %s.", cloud.Conflict); err != nil {
				return err
			}
		}
		a.Hosts = append(slices.Clone(a.Hosts), host)
		return nil
	})
}

// RemoveAggregateHost takes a host out of an aggregate; NotFound.
func (s *Service) RemoveAggregateHost(ctx context.Context, number int, host string) (cloud.Aggregate, error) {
	const op = "compute.RemoveAggregateHost"
	return s.changeAggregate(ctx, op, number, func(_ *store.Tx, a *cloud.Aggregate) error {
		if !slices.Contains(a.Hosts, host) {
			return cloud.E(op, cloud.NotFound, "Cannot remove host %s in aggregate %d", host, number)
		}
		a.Hosts = slices.DeleteFunc(slices.Clone(a.Hosts), func(h string) bool { return h == host })
		return nil
	})
}

// CacheImages has the hosts of an aggregate fetch images ahead of the servers that
// will need them. NotFound; Invalid for an image that the caller does not see.
func (s *Service) CacheImages(ctx context.Context, c cloud.Caller, number int, images []string) error {
	const op = "compute.CacheImages"
	return s.store.Update(ctx, func(tx *store.Tx) error {
		a, err := aggregateTx(tx, op, number)
		if err != nil {
			return err
		}
		if len(a.Hosts) == 0 {
			return cloud.E(op, cloud.Invalid, "Aggregate %d has no hosts.", number)
		}
		for _, id := range images {
			if _, err := imageTx(tx, op, c, id); err != nil {
				return asInvalid(op, err)
			}
		}
		for _, name := range a.Hosts {
			h, err := tx.Hosts.Get(name)
			if err != nil {
				return err
			}
			for _, id := range images {
				if !slices.Contains(h.Precache, id) {
					h.Precache = append(slices.Clone(h.Precache), id)
				}
			}
			if err := tx.Hosts.Update(h); err != nil {
				return err
			}
		}
		return nil
	})
}
