package compute

import (
	"context"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// classicMarker notes that the classic flavors were made once.
const classicMarker = "compute.classic-flavors"

// Bootstrap makes the classic flavors at the cloud's first start. It can be
// repeated: a flavor that an operator deleted does not come back.
func (s *Service) Bootstrap(ctx context.Context) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.Settings.Get(classicMarker); err == nil || !cloud.Is(err, cloud.NotFound) {
			return err
		}
		for _, f := range cloud.ClassicFlavors() {
			f.CreatedAt = s.clock.Now()
			if err := tx.Flavors.Put(f); err != nil {
				return err
			}
		}
		return tx.Settings.Insert(store.Setting{Name: classicMarker, Value: s.clock.Now().Format(time.RFC3339)})
	})
}
