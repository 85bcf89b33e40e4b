package store

import (
	"context"
	"database/sql"
	"path/filepath"
	"slices"
	"testing"

	"github.com/pressly/goose/v3"
)

// sqliteTypes are the declared types of a column by its letter.
var sqliteTypes = map[byte]string{'t': "TEXT NOT NULL", 'b': "BOOLEAN NOT NULL", 'i': "BIGINT NOT NULL", 'm': "BIGINT"}

// TestMigrationsMatchDeclarations fails when a column, a table or a unique set is
// declared without a migration, or the other way round. The declarations are
// the same for both engines; postgres_schema_test.go looks at the other.
func TestMigrationsMatchDeclarations(t *testing.T) {
	ctx := context.Background()
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := migrate(ctx, goose.DialectSQLite3, "sqlite", db); err != nil {
		t.Fatal(err)
	}
	var tables []string
	for _, s := range shapes() {
		tables = append(tables, s.table)
		want := []string{"id TEXT NOT NULL", "revision BIGINT NOT NULL", "body TEXT NOT NULL"}
		for i, n := range s.names {
			want = append(want, n+" "+sqliteTypes[s.types[i]])
		}
		got := strs(t, db, "SELECT name || ' ' || type || CASE \"notnull\" WHEN 1 THEN ' NOT NULL' ELSE '' END FROM pragma_table_info(?)", s.table)
		same(t, "columns of "+s.table, got, want)
		if len(s.types) != len(s.names) {
			t.Errorf("%s declares %d columns and %d types", s.table, len(s.names), len(s.types))
		}
		want = nil
		for _, u := range s.unique {
			want = append(want, join(u))
		}
		got = strs(t, db, `SELECT (SELECT group_concat(name) FROM (SELECT name FROM pragma_index_info(i.name) ORDER BY seqno))
			FROM pragma_index_list(?) i WHERE i."unique" AND i.origin = 'c'`, s.table)
		same(t, "unique sets of "+s.table, got, want)
	}
	got := strs(t, db, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'goose%' AND name NOT LIKE 'sqlite%'")
	same(t, "tables", got, tables)
}

func join(list []string) string {
	s := ""
	for i, l := range list {
		if i > 0 {
			s += ","
		}
		s += l
	}
	return s
}

func strs(t *testing.T, db *sql.DB, query string, args ...any) (list []string) {
	t.Helper()
	rows, err := db.Query(query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	got, want = slices.Clone(got), slices.Clone(want)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s: the migrations make %q, declared are %q: write a migration for both engines", what, got, want)
	}
}
