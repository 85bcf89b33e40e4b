package store

import "hearth/internal/cloud"

// The tables that the compute service has beside its first ones.
var (
	goneServerSchema  = like(&serverSchema, "gone_servers", "deleted server")
	everyServerSchema = union("every_server", &serverSchema, &goneServerSchema)

	migrationSchema = schema[cloud.Migration]{
		table: "server_migrations", noun: "migration", key: func(m cloud.Migration) string { return m.ID },
		names: []string{"server_id", "outcome", "created_at"}, types: "ttm",
		values: func(m cloud.Migration) columns { return columns{m.ServerID, m.Outcome, m.CreatedAt} },
	}
	consoleTokenSchema = schema[cloud.ConsoleToken]{
		table: "console_tokens", noun: "console token", key: func(c cloud.ConsoleToken) string { return c.Hash },
		names: []string{"server_id", "expires_at"}, types: "tm",
		values: func(c cloud.ConsoleToken) columns { return columns{c.ServerID, c.ExpiresAt} },
	}
)
