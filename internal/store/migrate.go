package store

import (
	"context"
	"database/sql"
	"embed"
	"io/fs"

	"github.com/pressly/goose/v3"

	"hearth/internal/cloud"
)

// migrationFiles are the steps that bring a schema up to date, one folder for
// each engine. A step that has been released is never changed: a new column is a
// new step, in both folders.
//
//go:embed migrations/*/*.sql
var migrationFiles embed.FS

// migrate brings the schema up to date.
func migrate(ctx context.Context, dialect goose.Dialect, folder string, db *sql.DB, opts ...goose.ProviderOption) error {
	const op = "store.Open"
	files, err := fs.Sub(migrationFiles, "migrations/"+folder)
	if err != nil {
		return cloud.E(op, cloud.Internal, "no migrations for %s: %w", folder, err)
	}
	provider, err := goose.NewProvider(dialect, db, files, opts...)
	if err != nil {
		return cloud.E(op, cloud.Internal, "the migrations cannot be read: %w", err)
	}
	known := int64(0)
	for _, s := range provider.ListSources() {
		known = max(known, s.Version)
	}
	if at, err := provider.GetDBVersion(ctx); err == nil && at > known {
		return cloud.E(op, cloud.Conflict, "the database has schema %d, this program knows up to %d: it was used by a newer hearth, start that one", at, known)
	}
	if _, err := provider.Up(ctx); err != nil {
		return cloud.E(op, cloud.Internal, "the schema cannot be brought up to date: %w", err)
	}
	return nil
}
