package store

import (
	"context"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pressly/goose/v3"
)

// TestUnionIsMergedByIndexes: a page of servers, present and past, is read in its order
// from the indexes of both tables; neither is read whole, and only the two pages, made
// one, are sorted.
func TestUnionIsMergedByIndexes(t *testing.T) {
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := migrate(context.Background(), goose.DialectSQLite3, "sqlite", db); err != nil {
		t.Fatal(err)
	}
	rows, err := db.Query("EXPLAIN QUERY PLAN " + everyServerSchema.page(" WHERE project_id = 'p' AND ((created_at < 5 OR created_at IS NULL) OR (created_at = 5 AND id > 'x'))",
		" ORDER BY created_at DESC, id LIMIT 10", []Order{{Column: "created_at", Desc: true}}))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, detail)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(plan, "\n")
	for _, index := range []string{"servers_by_age", "gone_servers_by_age"} {
		if !strings.Contains(text, "INDEX "+index+" (project_id=?") {
			t.Errorf("the index %s is not used:\n%s", index, text)
		}
	}
	if strings.Count(text, "TEMP B-TREE FOR ORDER BY") > 1 || strings.Contains(text, "SCAN servers") || strings.Contains(text, "SCAN gone_servers") {
		t.Errorf("a table is sorted, or read whole:\n%s", text)
	}
}
