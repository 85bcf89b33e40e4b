package reconcile

import (
	"fmt"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// TestDeleteEndsTheHistory: with the server its delete is over, and what it overtook is
// told to have come to nothing.
func TestDeleteEndsTheHistory(t *testing.T) {
	w := newWorld(t)
	w.want("a", 512)
	w.write(func(tx *store.Tx) error {
		now := w.clock.Now()
		return firstError(
			tx.Actions.Insert(cloud.ActionRecord{ID: "1", ServerID: "a", Action: "create", StartedAt: now}),
			tx.Actions.Insert(cloud.ActionRecord{ID: "2", ServerID: "a", Action: "delete", StartedAt: now.Add(time.Second)}))
	})
	w.delete("a") // before it had a node
	w.step()
	w.write(func(tx *store.Tx) error {
		created, err1 := tx.Actions.Get("1")
		deleted, err2 := tx.Actions.Get("2")
		if deleted.FinishedAt == nil || deleted.Error != "" {
			t.Errorf("delete: %+v", deleted)
		}
		if created.FinishedAt == nil || created.Error != "the server was deleted meanwhile" {
			t.Errorf("create: %+v", created)
		}
		return firstError(err1, err2)
	})
}

// TestForget: records of servers that went long ago go with their history, a bounded
// number at a time, those of others stay; 0 keeps all.
func TestForget(t *testing.T) {
	w := newWorld(t)
	const n = forgetAtOnce + 2
	now := w.clock.Now()
	w.write(func(tx *store.Tx) error {
		for i := range n {
			id := fmt.Sprintf("%04d", i)
			err := firstError(tx.GoneServers.Put(cloud.Server{ID: id}.Gone(now.Add(time.Duration(i)*time.Millisecond))),
				tx.Actions.Insert(cloud.ActionRecord{ID: id, ServerID: id, StartedAt: now}))
			if err != nil {
				return err
			}
		}
		return firstError(tx.GoneServers.Put(cloud.Server{ID: "new"}.Gone(now.Add(time.Hour))),
			tx.Actions.Insert(cloud.ActionRecord{ID: "new", ServerID: "new", StartedAt: now}),
			tx.Actions.Insert(cloud.ActionRecord{ID: "there", ServerID: "there", StartedAt: now}))
	})
	left := func(records, actions int) {
		t.Helper()
		if err := w.Prune(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.write(func(tx *store.Tx) error {
			r, err1 := tx.GoneServers.Count()
			a, err2 := tx.Actions.Count()
			if r != records || a != actions {
				t.Errorf("%d records and %d actions are left, want %d and %d", r, a, records, actions)
			}
			return firstError(err1, err2)
		})
	}
	w.clock.Advance(24 * time.Hour)
	left(n+1, n+2) // for ever
	w.KeepDeleted = 24*time.Hour - time.Minute
	left(3, 4)
	left(1, 2)
	left(1, 2)
	w.clock.Advance(time.Hour)
	left(0, 1)
}
