package volume

import (
	"context"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// typeTx finds a type that the caller sees, by id or name; NotFound.
func typeTx(tx *store.Tx, c cloud.Caller, idOrName string) (cloud.VolumeType, error) {
	const op = "volume.Type"
	t, err := tx.VolumeTypes.Get(idOrName)
	if cloud.Is(err, cloud.NotFound) {
		list, lerr := tx.VolumeTypes.List(store.Where(store.Eq("name", idOrName)))
		if lerr != nil {
			return t, lerr
		}
		if len(list) > 0 {
			t, err = list[0], nil
		}
	}
	if cloud.Is(err, cloud.NotFound) || err == nil && !seesType(c, t) {
		return t, notFound(op, "Volume type", idOrName)
	}
	return t, err
}

func seesType(c cloud.Caller, t cloud.VolumeType) bool {
	return t.Public || c.IsAdmin() || slices.Contains(t.Projects, c.ProjectID)
}

// defaultTypeTx is the type of a project's volumes that ask for none.
func defaultTypeTx(tx *store.Tx, project string) (cloud.VolumeType, error) {
	if own, err := tx.DefaultTypes.Get(project); !cloud.Is(err, cloud.NotFound) {
		if err != nil {
			return cloud.VolumeType{}, err
		}
		return tx.VolumeTypes.Get(own.TypeID)
	}
	list, err := tx.VolumeTypes.List(store.Where(store.Eq("name", DefaultType)))
	if err == nil && len(list) == 0 {
		err = cloud.E("volume.Type", cloud.NotFound, "There is no default volume type: name one.")
	}
	if err != nil {
		return cloud.VolumeType{}, err
	}
	return list[0], nil
}

// Type gives a type by its id, or the default one for "default"; NotFound.
func (s *Service) Type(ctx context.Context, c cloud.Caller, id string) (t cloud.VolumeType, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		if id == "default" {
			t, err = defaultTypeTx(tx, c.ProjectID)
		} else {
			t, err = typeByID(tx, c, id)
		}
		return err
	})
	return t, err
}

func typeByID(tx *store.Tx, c cloud.Caller, id string) (cloud.VolumeType, error) {
	t, err := tx.VolumeTypes.Get(id)
	if cloud.Is(err, cloud.NotFound) || err == nil && !seesType(c, t) {
		err = notFound("volume.Type", "Volume type", id)
	}
	return t, err
}

// Types lists the types that the caller sees: public ones (true), others (false),
// or both (nil).
func (s *Service) Types(ctx context.Context, c cloud.Caller, public *bool, l List) (list []cloud.VolumeType, more bool, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		list, err = tx.VolumeTypes.List(store.Query{})
		return err
	})
	if err != nil {
		return nil, false, err
	}
	list = slices.DeleteFunc(list, func(t cloud.VolumeType) bool { return !seesType(c, t) || public != nil && t.Public != *public })
	list, more, _, err = page(list, l, typeField, func(t cloud.VolumeType) string { return t.ID })
	return list, more, err
}

func typeField(t cloud.VolumeType, name string) (any, bool) {
	switch name {
	case "id":
		return t.ID, true
	case "name":
		return t.Name, true
	case "description":
		return t.Description, true
	case "is_public":
		return t.Public, true
	case "created_at":
		return t.CreatedAt, true
	case "updated_at":
		return t.UpdatedAt, true
	case "metadata", "extra_specs":
		return t.ExtraSpecs, true
	}
	return nil, false
}

// CreateType makes a type; Conflict for a name that is taken.
func (s *Service) CreateType(ctx context.Context, in cloud.VolumeType) (cloud.VolumeType, error) {
	now := s.clock.Now()
	in.ID, in.CreatedAt, in.UpdatedAt = cloud.NewID(), now, now
	err := s.store.Update(ctx, func(tx *store.Tx) error { return tx.VolumeTypes.Insert(in) })
	if cloud.Is(err, cloud.Conflict) {
		err = cloud.E("volume.CreateType", cloud.Conflict, "Volume Type %s already exists.", in.Name)
	}
	return in, err
}

// ChangeType changes a type; NotFound, Conflict.
func (s *Service) ChangeType(ctx context.Context, c cloud.Caller, id string, fn func(t *cloud.VolumeType) error) (t cloud.VolumeType, err error) {
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		if t, err = typeByID(tx, c, id); err != nil {
			return err
		}
		if err := fn(&t); err != nil {
			return err
		}
		t.UpdatedAt = s.clock.Now()
		err := tx.VolumeTypes.Update(t)
		if cloud.Is(err, cloud.Conflict) {
			err = cloud.E("volume.ChangeType", cloud.Conflict, "Volume Type %s already exists.", t.Name)
		}
		return err
	})
	return t, err
}

// DeleteType removes a type; Invalid while it is used, or is the default one.
func (s *Service) DeleteType(ctx context.Context, c cloud.Caller, id string) error {
	const op = "volume.DeleteType"
	return s.store.Update(ctx, func(tx *store.Tx) error {
		t, err := typeByID(tx, c, id)
		if err != nil {
			return err
		}
		if t.Name == DefaultType {
			return cloud.E(op, cloud.Invalid, "The volume type %s is the default volume type and cannot be deleted.", id)
		}
		if n, err := tx.DefaultTypes.Count(store.Eq("type_id", t.ID)); err != nil || n > 0 {
			return firstError(err, cloud.E(op, cloud.Invalid, "The volume type %s is the default volume type of a project and cannot be deleted.", id))
		}
		n, err := tx.Volumes.Count(store.Eq("type_id", t.ID))
		if err != nil {
			return err
		}
		if n > 0 {
			return cloud.E(op, cloud.Invalid, "Target volume type is still in use.")
		}
		return tx.VolumeTypes.Delete(t.ID)
	})
}

// QoS gives a set of limits; NotFound.
func (s *Service) QoS(ctx context.Context, id string) (q cloud.VolumeQoS, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		q, err = qosTx(tx, id)
		return err
	})
	return q, err
}

func qosTx(tx *store.Tx, id string) (cloud.VolumeQoS, error) {
	q, err := tx.VolumeQoS.Get(id)
	if cloud.Is(err, cloud.NotFound) {
		err = cloud.E("volume.QoS", cloud.NotFound, "No such QoS spec %s.", id)
	}
	return q, err
}

// QoSList lists the sets of limits.
func (s *Service) QoSList(ctx context.Context, l List) (list []cloud.VolumeQoS, more bool, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		list, err = tx.VolumeQoS.List(store.Query{})
		return err
	})
	if err != nil {
		return nil, false, err
	}
	list, more, _, err = page(list, l, qosField, func(q cloud.VolumeQoS) string { return q.ID })
	return list, more, err
}

func qosField(q cloud.VolumeQoS, name string) (any, bool) {
	switch name {
	case "id":
		return q.ID, true
	case "name":
		return q.Name, true
	case "consumer":
		return q.Consumer, true
	case "created_at":
		return q.CreatedAt, true
	}
	return nil, false
}

// CreateQoS makes a set of limits; Conflict for a name that is taken.
func (s *Service) CreateQoS(ctx context.Context, q cloud.VolumeQoS) (cloud.VolumeQoS, error) {
	now := s.clock.Now()
	q.ID, q.CreatedAt, q.UpdatedAt = cloud.NewID(), now, now
	err := s.store.Update(ctx, func(tx *store.Tx) error { return tx.VolumeQoS.Insert(q) })
	if cloud.Is(err, cloud.Conflict) {
		err = cloud.E("volume.CreateQoS", cloud.Conflict, "QoS Specs %s already exists.", q.Name)
	}
	return q, err
}

// ChangeQoS changes a set of limits.
func (s *Service) ChangeQoS(ctx context.Context, id string, fn func(q *cloud.VolumeQoS) error) (q cloud.VolumeQoS, err error) {
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		if q, err = qosTx(tx, id); err != nil {
			return err
		}
		if err := fn(&q); err != nil {
			return err
		}
		q.UpdatedAt = s.clock.Now()
		return tx.VolumeQoS.Update(q)
	})
	return q, err
}

// DeleteQoS removes a set of limits; Invalid while a type has it, unless forced.
func (s *Service) DeleteQoS(ctx context.Context, id string, force bool) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		if _, err := qosTx(tx, id); err != nil {
			return err
		}
		types, err := tx.VolumeTypes.List(store.Where(store.Eq("qos_id", id)))
		if err != nil {
			return err
		}
		if len(types) > 0 && !force {
			return cloud.E("volume.DeleteQoS", cloud.Invalid, "QoS Specs %s is still associated with entities.", id)
		}
		for _, t := range types {
			t.QoSID = ""
			if err := tx.VolumeTypes.Update(t); err != nil {
				return err
			}
		}
		return tx.VolumeQoS.Delete(id)
	})
}

// QoSTypes lists the types that have a set of limits.
func (s *Service) QoSTypes(ctx context.Context, id string) (list []cloud.VolumeType, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		if _, err := qosTx(tx, id); err != nil {
			return err
		}
		list, err = tx.VolumeTypes.List(store.Where(store.Eq("qos_id", id)))
		return err
	})
	return list, err
}

// Associate gives a type a set of limits, or with on false takes it away; "" as
// the type is all that have it.
func (s *Service) Associate(ctx context.Context, id, typeID string, on bool) error {
	const op = "volume.Associate"
	return s.store.Update(ctx, func(tx *store.Tx) error {
		if _, err := qosTx(tx, id); err != nil {
			return err
		}
		if typeID == "" {
			types, err := tx.VolumeTypes.List(store.Where(store.Eq("qos_id", id)))
			for _, t := range types {
				t.QoSID = ""
				if err := tx.VolumeTypes.Update(t); err != nil {
					return err
				}
			}
			return err
		}
		t, err := tx.VolumeTypes.Get(typeID)
		switch {
		case cloud.Is(err, cloud.NotFound):
			return notFound(op, "Volume type", typeID)
		case err != nil:
			return err
		case on && t.QoSID != "" && t.QoSID != id:
			return cloud.E(op, cloud.Invalid, "Type %s is already associated with another qos specs: %s.", typeID, t.QoSID)
		case on:
			t.QoSID = id
		case t.QoSID == id:
			t.QoSID = ""
		}
		return tx.VolumeTypes.Update(t)
	})
}
