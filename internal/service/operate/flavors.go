package operate

import (
	"context"

	"hearth/internal/cloud"
	"hearth/internal/schedule"
	"hearth/internal/service/placement"
	"hearth/internal/store"
)

// Fit is how many more servers of a flavor the cloud has room for.
type Fit struct {
	Flavor cloud.Flavor `json:"flavor"`
	Count  int          `json:"count"`  // at most schedule.MaxFits
	Reason string       `json:"reason"` // why there is no room for one more
}

// Fits tells of each flavor, the smallest memory first, how many more servers of
// it there is room for as things stand. What its images ask for beyond is not
// counted: a flavor without a root size takes that of the image.
func (s *Service) Fits(ctx context.Context) (out []Fit, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		flavors, err := tx.Flavors.List(store.Query{Order: []store.Order{{Column: "memory_mb"}, {Column: "id"}}})
		if err != nil {
			return err
		}
		out, err = s.fitsTx(tx, flavors)
		return err
	})
	return out, err
}

func (s *Service) fitsTx(tx *store.Tx, flavors []cloud.Flavor) (out []Fit, err error) {
	fleet, err := placement.FleetTx(tx, s.ratios, s.clock.Now())
	for _, f := range flavors {
		fit := Fit{Flavor: f}
		fit.Count, fit.Reason = schedule.Fits(fleet, schedule.RequestOf(cloud.Server{Flavor: f}))
		out = append(out, fit)
	}
	return out, err
}

func (s *Service) explainFlavor(ctx context.Context, name string) (Explanation, error) {
	var fits []Fit
	err := s.store.View(ctx, func(tx *store.Tx) error {
		f, err := find(tx.Flavors, name)
		if err != nil {
			return err
		}
		fits, err = s.fitsTx(tx, []cloud.Flavor{f})
		return err
	})
	if err != nil {
		return Explanation{}, err
	}
	f := fits[0].Flavor
	e := Explanation{Title: "flavor " + f.Name + " (" + f.ID + ")"}
	e.say("size", "%d processors, %d MiB of memory, %d GiB root disk, %d GiB ephemeral, %d MiB swap", f.VCPUs, f.MemoryMB, f.RootGB, f.EphemeralGB, f.SwapMB)
	if f.RootGB == 0 {
		e.say("root disk", "it has the image's own size")
	}
	e.say("fits", "%d more servers", fits[0].Count)
	if fits[0].Reason != "" {
		e.say("then", "%s", fits[0].Reason)
	}
	return e, nil
}
