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
		host, err := k.hostFor(tx, v)
		if err != nil {
			return err
		}
		v.Node, v.AvailabilityZone, v.UpdatedAt = host.Name, host.AvailabilityZone, k.Clock.Now()
		return tx.Volumes.Update(v)
	})
	return v, err
}

// hostFor is NoCapacity, with each host's reason, when none does.
func (k *Housekeeper) hostFor(tx *store.Tx, v cloud.Volume) (cloud.Host, error) {
	var specs map[string]string
	if t, err := tx.VolumeTypes.Get(v.TypeID); err == nil {
		specs = t.ExtraSpecs
	}
	hosts, err := tx.Hosts.List(store.Query{})
	if err != nil {
		return cloud.Host{}, err
	}
	slices.SortStableFunc(hosts, func(a, b cloud.Host) int { return b.Seen.DiskFreeGB - a.Seen.DiskFreeGB })
	var reasons []string
	for _, h := range hosts {
		why := k.refuses(h, v, specs)
		if why == "" {
			return h, nil
		}
		reasons = append(reasons, h.Name+" "+why)
	}
	if len(reasons) == 0 {
		reasons = []string{"there is no node"}
	}
	return cloud.Host{}, cloud.E("reconcile.placeVolume", cloud.NoCapacity, "No valid backend was found. %s", strings.Join(reasons, "; "))
}

// refuses is why a host does not do; "" when it does. Room is what the files of
// volumes take, which are as large as what was written to them: a host is full
// when its disk is.
func (k *Housekeeper) refuses(h cloud.Host, v cloud.Volume, specs map[string]string) string {
	switch {
	case v.AvailabilityZone != "" && h.AvailabilityZone != v.AvailabilityZone:
		return "is in the zone " + h.AvailabilityZone
	case !h.Alive(k.Clock.Now()):
		return "has not reported for more than a minute"
	case h.VolumesDisabled:
		return "takes no volumes"
	case h.Seen.DiskFreeGB < 1:
		return "has no room left"
	}
	capable := cloud.PoolCapabilities()
	for name, want := range specs {
		scope, key, scoped := strings.Cut(name, ":")
		switch {
		case scoped && scope != "capabilities":
			continue // a word between the operator and something else
		case !scoped:
			key = name
		}
		if have, ok := capable[key]; !ok || !schedule.Fulfils(have, want) {
			return fmt.Sprintf("does not have %s %s", key, want)
		}
	}
	return ""
}
