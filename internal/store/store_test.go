package store_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/store"
	"hearth/internal/store/storetest"
)

func open(t testing.TB, url string) *store.Store {
	t.Helper()
	st, err := store.Open(context.Background(), url)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return st
}

func TestSQLiteMemory(t *testing.T) {
	storetest.Run(t, func(t *testing.T) *store.Store { return open(t, "sqlite::memory:") })
}

func TestSQLiteFile(t *testing.T) {
	storetest.Run(t, func(t *testing.T) *store.Store {
		return open(t, "sqlite:"+filepath.Join(t.TempDir(), "odd ?name#%41", "hearth.db"))
	})
}

func TestUnknownURL(t *testing.T) {
	_, err := store.Open(context.Background(), "mysql://u:secret@h/d")
	if !cloud.Is(err, cloud.Invalid) || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
}

func TestTwoOnOneFile(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "hearth.db")
	open(t, url)
	_, err := store.Open(context.Background(), url)
	if !cloud.Is(err, cloud.Conflict) || !strings.Contains(err.Error(), "in use by another hearth") {
		t.Errorf("got %v", err)
	}
}

func TestReopen(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "hearth.db")
	st, err := store.Open(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	err = st.Update(context.Background(), func(tx *store.Tx) error { return tx.Settings.Insert(store.Setting{Name: "a", Value: "b"}) })
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if err := st.View(context.Background(), func(*store.Tx) error { return nil }); !cloud.Is(err, cloud.Unavailable) {
		t.Errorf("a view of a closed store: %v", err)
	}
	err = open(t, url).View(context.Background(), func(tx *store.Tx) error { _, err := tx.Settings.Get("a"); return err })
	if err != nil {
		t.Error(err)
	}
}
