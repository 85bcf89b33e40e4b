package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx", to make schemas with

	"hearth/internal/cloud"
	"hearth/internal/store"
	"hearth/internal/store/storetest"
)

// postgresURL makes a schema of its own for a test, in the database that
// HEARTH_TEST_POSTGRES names.
func postgresURL(t testing.TB) string {
	t.Helper()
	base := os.Getenv("HEARTH_TEST_POSTGRES")
	if base == "" {
		t.Skip("HEARTH_TEST_POSTGRES is not set: give the URL of an empty PostgreSQL database, as .ci/run does")
	}
	db, err := sql.Open("pgx", base)
	if err != nil {
		t.Fatal(err)
	}
	schema := "t_" + cloud.NewHexID()
	if _, err := db.Exec("CREATE SCHEMA " + schema); err != nil {
		t.Fatalf("HEARTH_TEST_POSTGRES: %v", err)
	}
	t.Cleanup(func() {
		_, _ = db.Exec("DROP SCHEMA " + schema + " CASCADE")
		db.Close()
	})
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String()
}

func TestPostgres(t *testing.T) {
	postgresURL(t) // skips the whole suite at once
	storetest.Run(t, func(t *testing.T) *store.Store { return open(t, postgresURL(t)) })
}

// TestPostgresHeads lets two heads share a database: one hears the other, and a
// quota holds among both.
func TestPostgresHeads(t *testing.T) {
	u := postgresURL(t)
	one, two := open(t, u), open(t, u)
	heard, stop := two.Watch("settings")
	defer stop()
	err := one.Update(context.Background(), func(tx *store.Tx) error {
		return tx.Settings.Insert(store.Setting{Name: "a", Value: "b"})
	})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-heard:
	case <-time.After(time.Minute):
		t.Fatal("the other head heard nothing")
	}
	err = two.View(context.Background(), func(tx *store.Tx) error { _, err := tx.Settings.Get("a"); return err })
	if err != nil {
		t.Error(err)
	}
}

// TestPostgresLostConnections lets the server cut every connection: views and
// updates work again, and watchers look.
func TestPostgresLostConnections(t *testing.T) {
	u := postgresURL(t)
	st := open(t, u)
	heard, stop := st.Watch()
	defer stop()
	db, err := sql.Open("pgx", u)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'hearth'"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-heard:
	case <-time.After(2 * time.Minute):
		t.Fatal("no signal after the connection was lost")
	}
	for i := range 12 { // every pooled connection may be broken once
		err = st.Update(context.Background(), func(tx *store.Tx) error {
			return tx.Settings.Put(store.Setting{Name: fmt.Sprint(i)})
		})
	}
	if err != nil {
		t.Errorf("still broken: %v", err)
	}
}

func TestPostgresURLWithoutSecrets(t *testing.T) {
	for _, u := range []string{"postgres://u:hunter2@127.0.0.1:1/db?connect_timeout=1", "postgres://u:hunter2@[bad/db"} {
		_, err := store.Open(context.Background(), u)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("got %v", err)
		}
	}
}
