package reconcile

import (
	"slices"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// TestPrune: servers that were deleted long ago leave the usage, unless they are
// kept for ever.
func TestPrune(t *testing.T) {
	for keep, want := range map[time.Duration]int{0: 2, time.Hour: 1} {
		w := newWorld(t)
		w.KeepHistory = keep
		now := w.Clock.Now()
		err := w.Store.Update(t.Context(), func(tx *store.Tx) error {
			if err := tx.PastServers.Put(cloud.PastServer{ID: "old", EndedAt: now.Add(-2 * time.Hour)}); err != nil {
				return err
			}
			return tx.PastServers.Put(cloud.PastServer{ID: "new", EndedAt: now.Add(-time.Minute)})
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Prune(t.Context()); err != nil {
			t.Fatal(err)
		}
		var left []cloud.PastServer
		if err := w.Store.View(t.Context(), func(tx *store.Tx) (err error) { left, err = tx.PastServers.List(store.Query{}); return err }); err != nil {
			t.Fatal(err)
		}
		if len(left) != want || !slices.ContainsFunc(left, func(p cloud.PastServer) bool { return p.ID == "new" }) {
			t.Errorf("kept for %s: %d are left, want %d", keep, len(left), want)
		}
	}
}

// TestServersWaitForTheFirstNode asks for a server before any node has told of itself: it
// waits a while, and then is told that there is none.
func TestServersWaitForTheFirstNode(t *testing.T) {
	for _, comes := range []bool{true, false} {
		w := newWorld(t)
		w.write(func(tx *store.Tx) error { return tx.Hosts.Delete("node-1") })
		w.want("early", 512)
		w.step()
		if s := w.server("early"); s.Fault != nil || s.Node != "" {
			t.Fatalf("%+v on %q", s.Fault, s.Node)
		}
		if comes {
			if err := w.ObserveHost(t.Context(), "node-1", w.node); err != nil {
				t.Fatal(err)
			}
		}
		for range nodeTries {
			w.clock.Advance(time.Second)
			w.step()
		}
		if s := w.server("early"); comes != (s.Node == "node-1") || comes != (s.Fault == nil) {
			t.Errorf("comes: %v: %+v on %q", comes, s.Fault, s.Node)
		}
	}
}
