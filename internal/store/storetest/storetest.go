// Package storetest is the suite that every engine of the store passes.
package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Open opens an empty database of its own for a test.
type Open func(t *testing.T) *store.Store

// Run runs the suite.
func Run(t *testing.T, open Open) {
	for name, test := range map[string]func(*testing.T, *store.Store){
		"RoundTrip": roundTrip, "EveryNoun": everyNoun, "Extremes": extremes, "Missing": missing, "Unique": unique,
		"ConflictLeavesTransactionUsable": conflictUsable, "PutReplaces": putReplaces,
		"Conditions": conditions, "Moments": moments, "Prefix": prefix, "OrderAndPages": orderAndPages, "PagesOverNulls": pagesOverNulls, "PagesOfTwoTables": pagesOfTwoTables,
		"FindOneOrTell": findOne, "DeleteWhere": deleteWhere, "RollbackOnError": rollback, "RollbackOnPanic": rollbackOnPanic,
		"ViewDoesNotWrite": viewDoesNotWrite, "OutsideOfFunction": outside, "NobodySharesMaps": nobodyShares,
		"ReadYourWrites": readYourWrites, "Counter": counter, "WriteSkew": writeSkew, "Snapshot": snapshot,
		"Watch": watch, "NoSignalWithoutCommit": noSignal, "Cancelled": cancelled, "BadText": badText, "ManyKeys": manyKeys,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

var at = time.Date(2026, 2, 3, 4, 5, 6, 789000, time.UTC)

func update(t *testing.T, st *store.Store, fn func(tx *store.Tx) error) {
	t.Helper()
	if err := st.Update(context.Background(), fn); err != nil {
		t.Fatalf("update: %v", err)
	}
}

func view(t *testing.T, st *store.Store, fn func(tx *store.Tx) error) {
	t.Helper()
	if err := st.View(context.Background(), fn); err != nil {
		t.Fatalf("view: %v", err)
	}
}

func wantKind(t *testing.T, err error, kind cloud.Kind, message string) {
	t.Helper()
	if !cloud.Is(err, kind) || message != "" && cloud.Message(err) != message {
		t.Errorf("got %v (%v), want %v: %s", err, cloud.KindOf(err), kind, message)
	}
}

// flavors puts in n flavors f00, f01, … with 1, 2, … VCPUs.
func flavors(t *testing.T, st *store.Store, n int) {
	t.Helper()
	update(t, st, func(tx *store.Tx) error {
		for i := range n {
			id := fmt.Sprintf("f%02d", i)
			f := cloud.Flavor{ID: id, Name: "name-" + id, VCPUs: i + 1, MemoryMB: 100 * (i % 3), Public: i%2 == 0}
			if err := tx.Flavors.Insert(f); err != nil {
				return err
			}
		}
		return nil
	})
}

func flavorIDs(list []cloud.Flavor) string {
	ids := ""
	for _, f := range list {
		ids += f.ID + " "
	}
	return ids
}

func wantFlavors(t *testing.T, st *store.Store, q store.Query, want string) {
	t.Helper()
	view(t, st, func(tx *store.Tx) error {
		list, err := tx.Flavors.List(q)
		if got := flavorIDs(list); err == nil && got != want {
			t.Errorf("list %+v: got %q, want %q", q, got, want)
		}
		return err
	})
}
