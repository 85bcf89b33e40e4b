package volume

import (
	"context"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// DefaultTypes lists the projects that have a default type of their own; one
// project's for an id.
func (s *Service) DefaultTypes(ctx context.Context, project string) (list []cloud.VolumeDefaultType, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		q := store.Query{}
		if project != "" {
			q = store.Where(store.Eq("id", project))
		}
		list, err = tx.DefaultTypes.List(q)
		return err
	})
	if err == nil && project != "" && len(list) == 0 {
		err = cloud.E("volume.DefaultTypes", cloud.NotFound, "Default type for project %s not found.", project)
	}
	return list, err
}

// SetDefaultType gives a project a default type, by id or name; Invalid.
func (s *Service) SetDefaultType(ctx context.Context, c cloud.Caller, project, kind string) (d cloud.VolumeDefaultType, err error) {
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		t, err := typeTx(tx, c, kind)
		if cloud.Is(err, cloud.NotFound) {
			return cloud.E("volume.SetDefaultType", cloud.Invalid, "Volume type %s could not be found.", kind)
		}
		if err != nil {
			return err
		}
		d = cloud.VolumeDefaultType{ProjectID: project, TypeID: t.ID}
		return tx.DefaultTypes.Put(d)
	})
	return d, err
}

// UnsetDefaultType takes a project back to the cloud's default type.
func (s *Service) UnsetDefaultType(ctx context.Context, project string) error {
	return s.store.Update(ctx, func(tx *store.Tx) error { return ignore(tx.DefaultTypes.Delete(project), cloud.NotFound) })
}

// Encrypt says how a type's volumes would be encrypted, or with nil that they are
// not. Invalid while a volume has the type.
func (s *Service) Encrypt(ctx context.Context, c cloud.Caller, id, verb string, fn func(*cloud.VolumeEncryption) (*cloud.VolumeEncryption, error)) (e *cloud.VolumeEncryption, err error) {
	const op = "volume.Encrypt"
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		t, err := typeByID(tx, c, id)
		if err != nil {
			return err
		}
		if n, err := tx.Volumes.Count(store.Eq("type_id", t.ID)); err != nil || n > 0 {
			return firstError(err, cloud.E(op, cloud.Invalid, "Cannot %s encryption specs. Volume type in use.", verb))
		}
		if t.Encryption, err = fn(t.Encryption); err != nil {
			return err
		}
		now := s.clock.Now()
		if e = t.Encryption; e != nil {
			if e.ID == "" {
				e.ID, e.CreatedAt = cloud.NewID(), now
			} else {
				e.UpdatedAt = now
			}
		}
		t.UpdatedAt = now
		return tx.VolumeTypes.Update(t)
	})
	return e, err
}
