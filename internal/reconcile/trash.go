package reconcile

import (
	"context"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// expired tells whether a server has been in the trash for as long as it is kept.
func (k *Housekeeper) expired(s cloud.Server) bool {
	return s.Trash != nil && !s.Trash.Until.After(k.Clock.Now())
}

// reclaim ends a server whose time in the trash is over, unless its owner was
// quicker. From here on it is deleted as any other.
func (k *Housekeeper) reclaim(ctx context.Context, id string) error {
	return k.Store.Update(ctx, func(tx *store.Tx) error {
		s, err := tx.Servers.Get(id)
		if err != nil || !k.expired(s) || s.Intent.Deleted {
			return unlessGone(err)
		}
		k.Log.Info("a deleted server has been in the trash long enough; it is removed", "server", id, "since", s.Trash.Since)
		s.Intent.Deleted = true
		s.Intent.Generation++
		s.NextAttemptAt, s.Attempt, s.UpdatedAt = k.Clock.Now(), 0, k.Clock.Now()
		return tx.Servers.Update(s)
	})
}

// remindTrash has those in the trash looked at in time whose next look was lost:
// whatever else was done about them, none stays for ever.
func (k *Housekeeper) remindTrash(tx *store.Tx) error {
	list, err := tx.Servers.List(store.Where(store.Eq("status", cloud.StatusTrashed)))
	if err != nil {
		return err
	}
	for _, s := range list {
		if s.Trash == nil || !s.NextAttemptAt.IsZero() || s.Intent.Deleted {
			continue
		}
		s.NextAttemptAt = s.Trash.Until
		if err := tx.Servers.Update(s); err != nil {
			return err
		}
	}
	return nil
}
