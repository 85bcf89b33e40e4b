package reconcile

import (
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// rotate has the oldest backups of a server go, once one that it was to give way
// to has its bytes.
func (k *Housekeeper) rotate(tx *store.Tx, s *cloud.Server, image string) error {
	i := slices.IndexFunc(s.Backups, func(b cloud.ServerBackup) bool { return b.ImageID == image })
	if i < 0 {
		return nil
	}
	b := s.Backups[i]
	s.Backups = slices.Delete(slices.Clone(s.Backups), i, i+1)
	all, err := tx.Images.List(store.Query{
		Where: []store.Cond{store.Eq("status", string(cloud.ImageActive))}, Order: []store.Order{{Column: "created_at", Desc: true}},
	})
	if err != nil {
		return err
	}
	kept := 0
	for _, img := range all {
		if img.Properties["instance_uuid"] != s.ID || img.Properties["backup_type"] != b.Kind || img.Properties["image_type"] != "backup" {
			continue
		}
		if kept++; kept > b.Keep && !slices.Contains(s.Drop, img.ID) {
			s.Drop, s.NextAttemptAt = append(s.Drop, img.ID), k.Clock.Now()
		}
	}
	return nil
}
