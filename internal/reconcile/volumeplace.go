package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/schedule"
	"hearth/internal/store"
)

// placeVolume chooses the node of a volume: that of what it is made from, else
// the one with the most room of those that do.
func (k *Housekeeper) placeVolume(ctx context.Context, id string) (v cloud.Volume, err error) {
	err = k.Store.Update(ctx, func(tx *store.Tx) error {
		if v, err = tx.Volumes.Get(id); err != nil || v.Node != "" || v.Deleted {
			return err
		}
		host, pool, err := k.poolFor(tx, v)
		if err != nil {
			return err
		}
		v.Node, v.Pool, v.AvailabilityZone, v.UpdatedAt = host.Name, pool.Name, host.AvailabilityZone, k.Clock.Now()
		return tx.Volumes.Update(v)
	})
	return v, err
}

// spot is a pool of a host.
type spot struct {
	cloud.Host
	pool cloud.PoolStatus
}

// poolFor gives the pool with the most room of those that do. It is NoCapacity,
// with each one's reason, when none does, and Unavailable while there is none at all.
func (k *Housekeeper) poolFor(tx *store.Tx, v cloud.Volume) (cloud.Host, cloud.PoolStatus, error) {
	var specs map[string]string
	if t, err := tx.VolumeTypes.Get(v.TypeID); err == nil {
		specs = t.ExtraSpecs
	}
	hosts, err := tx.Hosts.List(store.Query{})
	if err != nil {
		return cloud.Host{}, cloud.PoolStatus{}, err
	}
	var spots []spot
	for _, h := range hosts {
		for _, p := range h.Pools() {
			spots = append(spots, spot{h, p})
		}
	}
	slices.SortStableFunc(spots, func(a, b spot) int { return b.pool.FreeGB - a.pool.FreeGB })
	var reasons []string
	for _, s := range spots {
		why := k.refuses(s, v, specs)
		if why == "" {
			return s.Host, s.pool, nil
		}
		reasons = append(reasons, cloud.VolumeBackend(s.Name, s.pool.Name)+" "+why)
	}
	if len(reasons) == 0 {
		// A node whose storage is slow to answer is a while in coming after a start.
		return cloud.Host{}, cloud.PoolStatus{}, cloud.E("reconcile.placeVolume", cloud.Unavailable, "No valid backend was found. no node has told of its storage yet")
	}
	return cloud.Host{}, cloud.PoolStatus{}, cloud.E("reconcile.placeVolume", cloud.NoCapacity, "No valid backend was found. %s", strings.Join(reasons, "; "))
}

// refuses is why a pool does not do; "" when it does. Room is what volumes take
// there: where that is what was written to them, a pool is full when its disk is.
func (k *Housekeeper) refuses(s spot, v cloud.Volume, specs map[string]string) string {
	disabled, _ := s.PoolDisabled(s.pool.Name)
	switch {
	case v.AvailabilityZone != "" && s.AvailabilityZone != v.AvailabilityZone:
		return "is in the zone " + s.AvailabilityZone
	case !s.Alive(k.Clock.Now()):
		return "has not reported for more than a minute"
	case disabled:
		return "takes no volumes"
	case s.pool.Fault != "":
		return "cannot be used: " + s.pool.Fault
	case s.pool.FreeGB < 1:
		return "has no room left"
	case !s.pool.Thin && s.pool.FreeGB < v.SizeGB:
		return fmt.Sprintf("has %d GB left", s.pool.FreeGB)
	}
	if lacks := schedule.Lacks(s.pool, specs); lacks != "" {
		return "does not have " + lacks
	}
	return ""
}
