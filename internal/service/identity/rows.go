package identity

import (
	"context"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// rows picks a table of a transaction.
type rows[T any] func(tx *store.Tx) *store.Table[T]

// fetch gives one row; NotFound.
func fetch[T any](ctx context.Context, s *Service, from rows[T], id string) (T, error) {
	return read(ctx, s, func(tx *store.Tx) (T, error) { return from(tx).Get(id) })
}

// list gives the rows that conditions hold for, by their keys. Conditions whose
// value is "" are left out.
func list[T any](ctx context.Context, s *Service, from rows[T], conds ...store.Cond) ([]T, error) {
	return read(ctx, s, func(tx *store.Tx) ([]T, error) { return from(tx).List(store.Query{Where: given(conds)}) })
}

func given(conds []store.Cond) (out []store.Cond) {
	for _, c := range conds {
		if c.Value != "" {
			out = append(out, c)
		}
	}
	return out
}

// amend changes one row; NotFound, and what change says.
func amend[T any](ctx context.Context, s *Service, from rows[T], id string, change func(tx *store.Tx, v *T) error) (T, error) {
	return write(ctx, s, func(tx *store.Tx) (T, error) {
		v, err := from(tx).Get(id)
		if err != nil {
			return v, err
		}
		if err := change(tx, &v); err != nil {
			return v, err
		}
		return v, from(tx).Update(v)
	})
}

// refer wants something to be there, unless the id is ""; an error of the kind, in keystone's words.
func refer[T any](table *store.Table[T], noun, id string, kind cloud.Kind) error {
	if id == "" {
		return nil
	}
	_, err := table.Get(id)
	if cloud.Is(err, cloud.NotFound) {
		return cloud.E("identity.refer", kind, "Could not find %s: %s.", noun, id)
	}
	return err
}
