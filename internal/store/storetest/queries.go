package storetest

import (
	"fmt"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

func conditions(t *testing.T, st *store.Store) {
	flavors(t, st, 6) // vcpus 1…6, memory 0 100 200 0 100 200, public at even ids
	for _, c := range []struct {
		want  string
		conds []store.Cond
	}{
		{"f00 f01 f02 f03 f04 f05 ", nil},
		{"f02 ", []store.Cond{store.Eq("name", "name-f02")}},
		{"f00 f01 f03 f04 f05 ", []store.Cond{store.Ne("name", "name-f02")}},
		{"f00 f02 f04 ", []store.Cond{store.Eq("public", true)}},
		{"f01 f04 ", []store.Cond{store.Eq("memory_mb", 100)}},
		{"f04 ", []store.Cond{store.Eq("memory_mb", int64(100)), store.Eq("public", true)}},
		{"f00 f01 ", []store.Cond{{Column: "vcpus", Op: store.OpLt, Value: 3}}},
		{"f00 f01 f02 ", []store.Cond{store.Le("vcpus", 3)}},
		{"f03 f04 f05 ", []store.Cond{{Column: "vcpus", Op: store.OpGt, Value: 3}}},
		{"f04 f05 ", []store.Cond{{Column: "vcpus", Op: store.OpGe, Value: 5}}},
		{"f01 f05 ", []store.Cond{store.In("id", "f05", "f01", "nix", "f01")}},
		{"f01 ", []store.Cond{store.In("name", "name-f01", `it's "quoted"`)}},
		{"", []store.Cond{store.In("id")}},
	} {
		wantFlavors(t, st, store.Query{Where: c.conds}, c.want)
		view(t, st, func(tx *store.Tx) error {
			n, err := tx.Flavors.Count(c.conds...)
			if n != len(c.want)/4 {
				t.Errorf("count %v: %d, want %d", c.conds, n, len(c.want)/4)
			}
			return err
		})
	}
	view(t, st, func(tx *store.Tx) error {
		for _, bad := range []store.Cond{store.Eq("nope", 1), store.Eq("vcpus", "1"), store.Eq("name", 1), store.Eq("name", nil), {Column: "name", Op: "~", Value: ""}, {Column: "id; --", Op: store.OpEq, Value: ""}} {
			_, err := tx.Flavors.List(store.Where(bad))
			wantKind(t, err, cloud.Internal, "")
		}
		return nil
	})
}

// moments are compared by time; never is a moment of its own.
func moments(t *testing.T, st *store.Store) {
	update(t, st, func(tx *store.Tx) error {
		for i, next := range []time.Time{{}, at, at.Add(time.Microsecond), at.Add(time.Hour)} {
			if err := tx.Servers.Insert(cloud.Server{ID: fmt.Sprint(i), NextAttemptAt: next}); err != nil {
				return err
			}
		}
		return nil
	})
	for _, c := range []struct {
		want string
		cond store.Cond
	}{
		{"1", store.Le("next_attempt_at", at)},
		{"12", store.Le("next_attempt_at", at.Add(time.Microsecond).In(time.FixedZone("x", 3600)))},
		{"23", store.Cond{Column: "next_attempt_at", Op: store.OpGt, Value: at}},
		{"0", store.Eq("next_attempt_at", time.Time{})},
		{"123", store.Ne("next_attempt_at", time.Time{})},
		{"023", store.Ne("next_attempt_at", at)},
	} {
		view(t, st, func(tx *store.Tx) error {
			list, err := tx.Servers.List(store.Where(c.cond))
			got := ""
			for _, s := range list {
				got += s.ID
			}
			if got != c.want {
				t.Errorf("%v: got %q, want %q", c.cond, got, c.want)
			}
			return err
		})
	}
}

func prefix(t *testing.T, st *store.Store) {
	update(t, st, func(tx *store.Tx) error {
		for _, name := range []string{"a", "ab", "ab%", "abc", "Ab", "äb", "äbc", "b", "a_"} {
			if err := tx.Flavors.Insert(cloud.Flavor{ID: name, Name: name}); err != nil {
				return err
			}
		}
		return nil
	})
	for p, want := range map[string]string{"ab": "ab ab% abc ", "ab%": "ab% ", "a_": "a_ ", "ä": "äb äbc ", "": "Ab a a_ ab ab% abc b äb äbc ", "x": ""} {
		wantFlavors(t, st, store.Where(store.Cond{Column: "name", Op: store.OpPrefix, Value: p}), want)
	}
}

func orderAndPages(t *testing.T, st *store.Store) {
	flavors(t, st, 7)
	by := []store.Order{{Column: "memory_mb", Desc: true}, {Column: "public"}}
	whole := "f05 f02 f01 f04 f03 f00 f06 "
	wantFlavors(t, st, store.Query{Order: by}, whole)
	wantFlavors(t, st, store.Query{Order: []store.Order{{Column: "name", Desc: true}}, Limit: 2}, "f06 f05 ")
	for size := 1; size <= 8; size++ {
		got, after := "", ""
		for {
			var page []cloud.Flavor
			view(t, st, func(tx *store.Tx) (err error) {
				page, err = tx.Flavors.List(store.Query{Order: by, Limit: size, After: after})
				return err
			})
			if len(page) == 0 {
				break
			}
			got += flavorIDs(page)
			after = page[len(page)-1].ID
		}
		if got != whole {
			t.Errorf("pages of %d: got %q, want %q", size, got, whole)
		}
	}
	wantFlavors(t, st, store.Query{Where: []store.Cond{store.Eq("public", true)}, After: "f01"}, "f02 f04 f06 ")
}

func pagesOverNulls(t *testing.T, st *store.Store) {
	update(t, st, func(tx *store.Tx) error {
		for i, next := range []time.Time{at, {}, at.Add(-time.Hour), {}, at} {
			if err := tx.Servers.Insert(cloud.Server{ID: fmt.Sprint(i), NextAttemptAt: next}); err != nil {
				return err
			}
		}
		return nil
	})
	for desc, want := range map[bool]string{false: "13204", true: "04213"} {
		got, after := "", ""
		for range 5 {
			view(t, st, func(tx *store.Tx) error {
				page, err := tx.Servers.List(store.Query{Order: []store.Order{{Column: "next_attempt_at", Desc: desc}}, Limit: 1, After: after})
				if err == nil && len(page) == 1 {
					after = page[0].ID
					got += after
				}
				return err
			})
		}
		if got != want {
			t.Errorf("descending %v: got %q, want %q", desc, got, want)
		}
	}
}

func findOne(t *testing.T, st *store.Store) {
	flavors(t, st, 4)
	view(t, st, func(tx *store.Tx) error {
		f, err := tx.Flavors.Find(store.Eq("name", "name-f03"))
		if err != nil || f.ID != "f03" {
			t.Errorf("got %v, %v", f, err)
		}
		_, err = tx.Flavors.Find(store.Eq("name", "nix"))
		wantKind(t, err, cloud.NotFound, "Flavor with name 'nix' could not be found.")
		_, err = tx.Flavors.Find(store.Eq("public", true))
		wantKind(t, err, cloud.Conflict, "More than one flavor exists with public true: use the id.")
		return nil
	})
}

func deleteWhere(t *testing.T, st *store.Store) {
	flavors(t, st, 5)
	update(t, st, func(tx *store.Tx) error {
		_, err := tx.Flavors.DeleteWhere()
		wantKind(t, err, cloud.Internal, "")
		n, err := tx.Flavors.DeleteWhere(store.Eq("public", true))
		if n != 3 {
			t.Errorf("deleted %d, want 3", n)
		}
		return err
	})
	wantFlavors(t, st, store.Query{}, "f01 f03 ")
}

// manyKeys lists and looks for more rows than an engine takes arguments.
func manyKeys(t *testing.T, st *store.Store) {
	const n = 2500
	keys := make([]string, n)
	update(t, st, func(tx *store.Tx) error {
		for i := range keys {
			keys[i] = fmt.Sprintf("%05d", i)
			if err := tx.Settings.Insert(store.Setting{Name: keys[i], Value: keys[i]}); err != nil {
				return err
			}
		}
		return nil
	})
	for range 2 {
		view(t, st, func(tx *store.Tx) error {
			list, err := tx.Settings.List(store.Where(store.In("id", append(keys, keys...)...)))
			if len(list) != n {
				t.Fatalf("%d rows, want %d", len(list), n)
			}
			for i, s := range list {
				if s.Name != keys[i] || s.Value != keys[i] {
					t.Fatalf("row %d is %v", i, s)
				}
			}
			return err
		})
	}
}
