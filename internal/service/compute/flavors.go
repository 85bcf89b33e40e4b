package compute

import (
	"context"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// FlavorFilter says which flavors a list holds. The zero filter is what a caller
// can use.
type FlavorFilter struct {
	Public           *bool // of an admin's list: only public, or only private ones; nil with Any for all
	Any              bool
	MinRAM, MinDisk  int // MB, GB
	SortKey, SortDir string
	Marker           string // the id of the flavor before the first
	Limit            int    // 0 for none
}

// noFlavor is nova's way to say that a flavor is not there.
func noFlavor(op, id string) error {
	return cloud.E(op, cloud.NotFound, "Flavor %s could not be found.", id)
}

// usable tells whether a caller may see and use a flavor.
func usable(c cloud.Caller, f cloud.Flavor) bool {
	return f.Public || c.IsAdmin() || slices.Contains(f.Projects, c.ProjectID)
}

// flavorTx gives a flavor that the caller can use.
func flavorTx(tx *store.Tx, op string, c cloud.Caller, id string) (cloud.Flavor, error) {
	f, err := tx.Flavors.Get(id)
	if cloud.Is(err, cloud.NotFound) || err == nil && !usable(c, f) {
		return cloud.Flavor{}, noFlavor(op, id)
	}
	return f, err
}

// Flavor gives a flavor that the caller can use.
func (s *Service) Flavor(ctx context.Context, c cloud.Caller, id string) (f cloud.Flavor, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		f, err = flavorTx(tx, "compute.Flavor", c, id)
		return err
	})
	return f, err
}

// Flavors lists flavors.
func (s *Service) Flavors(ctx context.Context, c cloud.Caller, q FlavorFilter) ([]cloud.Flavor, error) {
	const op = "compute.Flavors"
	var all []cloud.Flavor
	err := s.store.View(ctx, func(tx *store.Tx) (err error) {
		all, err = tx.Flavors.List(store.Query{})
		return err
	})
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(f cloud.Flavor) bool { return !q.match(c, f) })
	if err := sortFlavors(op, all, q.SortKey, q.SortDir); err != nil {
		return nil, err
	}
	if q.Marker != "" {
		i := slices.IndexFunc(all, func(f cloud.Flavor) bool { return f.ID == q.Marker })
		if i < 0 {
			return nil, cloud.E(op, cloud.Invalid, "marker [%s] not found", q.Marker)
		}
		all = all[i+1:]
	}
	if q.Limit > 0 && len(all) > q.Limit {
		all = all[:q.Limit]
	}
	return all, nil
}

// match tells whether a flavor is in the list. An admin who asks for nothing
// particular sees what everybody sees, as in nova.
func (q FlavorFilter) match(c cloud.Caller, f cloud.Flavor) bool {
	mine := f.Public || slices.Contains(f.Projects, c.ProjectID)
	switch {
	case f.MemoryMB < q.MinRAM || f.RootGB < q.MinDisk:
		return false
	case !c.IsAdmin():
		return mine && !f.Disabled
	case q.Any:
		return true
	case q.Public == nil || *q.Public:
		return mine
	}
	return !f.Public
}

// flavorKeys are the sort keys of flavors, by nova's column names.
var flavorKeys = map[string]func(a, b cloud.Flavor) int{
	"flavorid":     func(a, b cloud.Flavor) int { return strings.Compare(a.ID, b.ID) },
	"name":         func(a, b cloud.Flavor) int { return strings.Compare(a.Name, b.Name) },
	"memory_mb":    func(a, b cloud.Flavor) int { return a.MemoryMB - b.MemoryMB },
	"root_gb":      func(a, b cloud.Flavor) int { return a.RootGB - b.RootGB },
	"vcpus":        func(a, b cloud.Flavor) int { return a.VCPUs - b.VCPUs },
	"swap":         func(a, b cloud.Flavor) int { return a.SwapMB - b.SwapMB },
	"ephemeral_gb": func(a, b cloud.Flavor) int { return a.EphemeralGB - b.EphemeralGB },
	"created_at":   func(a, b cloud.Flavor) int { return a.CreatedAt.Compare(b.CreatedAt) },
}

// sortFlavors sorts by a key, and by id among equals.
func sortFlavors(op string, list []cloud.Flavor, key, dir string) error {
	if key == "" {
		key = "flavorid"
	}
	compare, ok := flavorKeys[key]
	if !ok || dir != "" && dir != "asc" && dir != "desc" {
		return cloud.E(op, cloud.Invalid, "flavors cannot be sorted by %q in direction %q", key, dir)
	}
	slices.SortFunc(list, func(a, b cloud.Flavor) int {
		n := compare(a, b)
		if n == 0 {
			n = strings.Compare(a.ID, b.ID)
		}
		if dir == "desc" {
			n = -n
		}
		return n
	})
	return nil
}
