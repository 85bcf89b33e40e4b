package store

import (
	"context"
	"database/sql"
	"os"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/pressly/goose/v3"

	"hearth/internal/cloud"
)

// postgresTypes are the types of a column by its letter, as the catalog says.
var postgresTypes = map[byte]string{'t': "text C NO", 'b': "boolean  NO", 'i': "bigint  NO", 'm': "bigint  YES"}

// TestPostgresMigrationsMatchDeclarations is its namesake for PostgreSQL.
func TestPostgresMigrationsMatchDeclarations(t *testing.T) {
	base := os.Getenv("HEARTH_TEST_POSTGRES")
	if base == "" {
		t.Skip("HEARTH_TEST_POSTGRES is not set: give the URL of an empty PostgreSQL database, as .ci/run does")
	}
	db, err := sql.Open("pgx", base)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // the search path is the connection's
	schema := "t_" + cloud.NewHexID()
	if _, err := db.Exec("CREATE SCHEMA " + schema + "; SET search_path = " + schema); err != nil {
		t.Fatal(err)
	}
	defer db.Exec("DROP SCHEMA " + schema + " CASCADE")
	if err := migrate(context.Background(), goose.DialectPostgres, "postgres", db); err != nil {
		t.Fatal(err)
	}
	for _, s := range shapes() {
		want := []string{"id text C NO", "revision bigint  NO", "body text  NO"}
		for i, n := range s.names {
			want = append(want, n+" "+postgresTypes[s.types[i]])
		}
		got := strs(t, db, `SELECT column_name || ' ' || data_type || ' ' || coalesce(collation_name, '') || ' ' || is_nullable
			FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2`, schema, s.table)
		same(t, "columns of "+s.table, got, want)
		want = nil
		for _, u := range s.unique {
			want = append(want, join(u))
		}
		got = strs(t, db, `SELECT (SELECT string_agg(a.attname, ',' ORDER BY k.n) FROM unnest(i.indkey) WITH ORDINALITY k(att, n)
				JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.att)
			FROM pg_index i WHERE i.indrelid = ($1 || '.' || $2)::regclass AND i.indisunique AND NOT i.indisprimary`, schema, s.table)
		same(t, "unique sets of "+s.table, got, want)
	}
}
