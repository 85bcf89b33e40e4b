package storetest

import (
	"fmt"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// pagesOfTwoTables walks over the rows of two tables page by page: each comes once, in
// one order, wherever it lies, and after whichever row.
func pagesOfTwoTables(t *testing.T, st *store.Store) {
	const n = 7
	update(t, st, func(tx *store.Tx) error {
		for i := range n {
			s := cloud.Server{ID: fmt.Sprint(i), ProjectID: "p", Name: fmt.Sprint(i % 2), CreatedAt: at.Add(time.Duration(i) * time.Second)}
			put := tx.Servers.Insert
			if i%3 == 0 {
				put, s = tx.GoneServers.Insert, s.Gone(at.Add(time.Hour))
			}
			if err := put(s); err != nil {
				return err
			}
		}
		return tx.GoneServers.Insert(cloud.Server{ID: "x", ProjectID: "other", DeletedAt: &at})
	})
	for _, c := range []struct {
		want  string
		where []store.Cond
		by    []store.Order
	}{
		{"6543210", []store.Cond{store.Eq("project_id", "p")}, []store.Order{{Column: "created_at", Desc: true}}},
		{"0246135", []store.Cond{store.Eq("project_id", "p")}, []store.Order{{Column: "name"}, {Column: "created_at"}, {Column: "name", Desc: true}, {Column: "id"}}},
		{"x036", []store.Cond{store.Eq("status", cloud.StatusGone)}, []store.Order{{Column: "created_at"}}},
		{"036", []store.Cond{store.Eq("project_id", "p"), {Column: "updated_at", Op: store.OpGe, Value: at}}, nil},
	} {
		for size := 1; size <= n; size += 2 {
			got := walk(t, st, store.Query{Where: c.where, Order: c.by, Limit: size})
			if got != c.want {
				t.Errorf("by %v in pages of %d: %q, want %q", c.by, size, got, c.want)
			}
		}
	}
	view(t, st, func(tx *store.Tx) error {
		if s, err := tx.EveryServer.Get("3"); err != nil || s.DeletedAt == nil {
			t.Errorf("%+v, %v", s.DeletedAt, err)
		}
		_, err := tx.EveryServer.Get("nix")
		wantKind(t, err, cloud.NotFound, "Server nix could not be found.")
		return nil
	})
}

// walk gives the ids of all pages of a query.
func walk(t *testing.T, st *store.Store, q store.Query) (ids string) {
	t.Helper()
	view(t, st, func(tx *store.Tx) error {
		for {
			rows, err := tx.EveryServer.Shared(q)
			if err != nil || len(rows) == 0 {
				return err
			}
			for _, row := range rows {
				ids += row.ID
			}
			q.After = rows[len(rows)-1].ID
		}
	})
	return ids
}
