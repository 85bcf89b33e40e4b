package volume

import (
	"context"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// kind is a noun that is shown with what is computed of it: a row R as a whole W.
type kind[R, W any] struct {
	table func(tx *store.Tx) *store.Table[R]
	get   func(tx *store.Tx, c cloud.Caller, id string) (R, error)
	whole func(tx *store.Tx, row R) (W, error)
	field func(w W, name string) (any, bool)
	id    func(w W) string
}

// show gives one that the caller sees; NotFound.
func (k kind[R, W]) show(ctx context.Context, s *Service, c cloud.Caller, id string) (whole W, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		row, err := k.get(tx, c, id)
		if err == nil {
			whole, err = k.whole(tx, row)
		}
		return err
	})
	return whole, err
}

// list gives those of the caller's project, or of all.
func (k kind[R, W]) list(ctx context.Context, s *Service, c cloud.Caller, l List) (list []W, more bool, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		rows, err := k.table(tx).List(scope(c, l))
		list = list[:0]
		for _, row := range rows {
			whole, err := k.whole(tx, row)
			if err != nil {
				return err
			}
			list = append(list, whole)
		}
		return err
	})
	if err != nil {
		return nil, false, err
	}
	list, more, _, err = page(list, l, k.field, k.id)
	return list, more, err
}

// reset has one shown in a status until it is given its own again: force sets the
// status of a row, and status gives that of a whole.
func (k kind[R, W]) reset(ctx context.Context, s *Service, c cloud.Caller, id, want string, force func(*R, string), status func(W) string) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		row, err := k.get(tx, c, id)
		if err != nil {
			return err
		}
		force(&row, "")
		whole, err := k.whole(tx, row)
		if err != nil {
			return err
		}
		if status(whole) != want {
			force(&row, want)
		}
		return k.table(tx).Update(row)
	})
}

func groupKind() kind[cloud.VolumeGroup, Group] {
	return kind[cloud.VolumeGroup, Group]{
		table: func(tx *store.Tx) *store.Table[cloud.VolumeGroup] { return tx.VolumeGroups },
		get:   groupTx, whole: wholeGroup, field: groupField, id: func(g Group) string { return g.ID },
	}
}

func groupSnapshotKind() kind[cloud.GroupSnapshot, GroupSnapshot] {
	return kind[cloud.GroupSnapshot, GroupSnapshot]{
		table: func(tx *store.Tx) *store.Table[cloud.GroupSnapshot] { return tx.GroupSnapshots },
		get:   groupSnapshotTx, whole: wholeGroupSnapshot, field: groupSnapshotField, id: func(g GroupSnapshot) string { return g.ID },
	}
}
