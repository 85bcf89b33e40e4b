package store

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// indexed are the columns that lists are narrowed or sorted by, beyond the
// unique sets.
var indexed = map[string][]string{
	"users": {"domain_id"}, "projects": {"parent_id"},
	"assignments":             {"user_id", "project_id", "role_id", "domain_id"},
	"application_credentials": {"project_id"},
	"revocations":             {"expires_at"},
	"images":                  {"project_id", "name", "status", "visibility", "digest", "created_at"},
	"image_members":           {"image_id", "project_id"},
	"keypairs":                {"user_id"},
	"servers":                 {"project_id", "node", "image_id", "next_attempt_at", "created_at", "name"},
	"server_actions":          {"server_id"},
	"networks":                {"project_id", "name"},
	"subnets":                 {"network_id", "project_id"},
	"ports":                   {"device_id", "project_id", "host", "name"},
	"ip_allocations":          {"subnet_id", "port_id", "network_id"},
	"routers":                 {"project_id", "gateway_network_id", "node"},
	"floating_ips":            {"project_id", "port_id", "router_id"},
	"security_groups":         {"project_id", "name"},
	"security_group_rules":    {"group_id", "remote_group_id", "project_id"},
	"quotas":                  {"project_id"},
}

// TestWriteMigration writes the first migration of both engines from the
// declarations, when HEARTH_WRITE_MIGRATION is set; it was used once, before the
// first release.
func TestWriteMigration(t *testing.T) {
	if os.Getenv("HEARTH_WRITE_MIGRATION") == "" {
		t.Skip("set HEARTH_WRITE_MIGRATION=1 to write migrations/*/00001_nouns.sql")
	}
	for engine, types := range map[string]map[byte]string{
		"sqlite":   {'t': "TEXT NOT NULL", 'b': "BOOLEAN NOT NULL", 'i': "BIGINT NOT NULL", 'm': "BIGINT"},
		"postgres": {'t': `TEXT COLLATE "C" NOT NULL`, 'b': "BOOLEAN NOT NULL", 'i': "BIGINT NOT NULL", 'm': "BIGINT"},
	} {
		if err := os.WriteFile("migrations/"+engine+"/00001_nouns.sql", []byte(ddl(engine, types)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func ddl(engine string, types map[byte]string) string {
	var b strings.Builder
	b.WriteString("-- One table for each noun: its key, the revision of the row, the noun as JSON,\n-- and the columns that it is looked for by. Moments are microseconds since 1970.\n-- +goose Up\n")
	id := types['t']
	for _, s := range shapes() {
		fmt.Fprintf(&b, "CREATE TABLE %s (\n    id %s PRIMARY KEY,\n    revision BIGINT NOT NULL,\n", s.table, id)
		for i, n := range s.names {
			fmt.Fprintf(&b, "    %s %s,\n", n, types[s.types[i]])
		}
		b.WriteString("    body TEXT NOT NULL\n);\n")
		for _, u := range s.unique {
			fmt.Fprintf(&b, "CREATE UNIQUE INDEX %s_%s ON %s (%s);\n", s.table, strings.Join(u, "_"), s.table, strings.Join(u, ", "))
		}
		for _, c := range indexed[s.table] {
			if !slices.ContainsFunc(s.unique, func(u []string) bool { return u[0] == c }) {
				fmt.Fprintf(&b, "CREATE INDEX %s_%s ON %s (%s);\n", s.table, c, s.table, c)
			}
		}
		b.WriteString("\n")
	}
	b.WriteString("-- +goose Down\n")
	for _, s := range shapes() {
		fmt.Fprintf(&b, "DROP TABLE %s;\n", s.table)
	}
	return b.String()
}
