package store_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// filled opens a file with 1,000 servers as the compute service keeps them.
func filled(b *testing.B) *store.Store {
	st := open(b, "sqlite:"+filepath.Join(b.TempDir(), "hearth.db"))
	err := st.Update(context.Background(), func(tx *store.Tx) error {
		for i := range 1000 {
			if err := tx.Servers.Insert(benchServer(i)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return st
}

func benchServer(i int) cloud.Server {
	now := time.Date(2026, 1, 1, 0, 0, i, 0, time.UTC)
	return cloud.Server{
		ID: fmt.Sprintf("0000-%06d", i), Name: fmt.Sprintf("vm-%d", i), ProjectID: "p", UserID: "u", Hostname: "vm", Flavor: cloud.ClassicFlavors()[0],
		ImageID: cloud.NewID(), Image: cloud.ImageRef{ID: cloud.NewID(), Digest: "sha512:0123456789", Format: "qcow2"}, Metadata: map[string]string{"a": "b"},
		ImageProperties: map[string]string{"hw_disk_bus": "virtio"}, Key: &cloud.Keypair{Name: "me", PublicKey: "ssh-ed25519 AAAA"},
		Steps:     []cloud.Step{{Name: "disk", Start: now}, {Name: "ports", Start: now}, {Name: "start", Start: now}},
		CreatedAt: now, UpdatedAt: now, LaunchedAt: &now,
	}
}

func check(b *testing.B, err error) {
	if err != nil {
		b.Fatal(err)
	}
}

func BenchmarkGet(b *testing.B) {
	st := filled(b)
	for b.Loop() {
		check(b, st.View(b.Context(), func(tx *store.Tx) error { _, err := tx.Servers.Get("0000-000500"); return err }))
	}
}

func BenchmarkList1000(b *testing.B) {
	st := filled(b)
	q := store.Query{Where: []store.Cond{store.Eq("project_id", "p"), store.Eq("deleted", false)}, Order: []store.Order{{Column: "created_at", Desc: true}}, Limit: 1000}
	for b.Loop() {
		check(b, st.View(b.Context(), func(tx *store.Tx) error { _, err := tx.Servers.List(q); return err }))
	}
}

// BenchmarkUpdate commits one changed row at a time, on the disk.
func BenchmarkUpdate(b *testing.B) {
	st := filled(b)
	s := benchServer(500)
	for b.Loop() {
		check(b, st.Update(b.Context(), func(tx *store.Tx) error { return tx.Servers.Update(s) }))
	}
}

func BenchmarkOpen(b *testing.B) {
	for b.Loop() {
		st, err := store.Open(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), fmt.Sprint(b.N), "hearth.db"))
		check(b, err)
		check(b, st.Close())
	}
}
