package store

import (
	"context"

	"hearth/internal/cloud"
)

func openPostgres(ctx context.Context, url string, b *bell) (engine, error) {
	return nil, cloud.E("store.Open", cloud.Unsupported, "PostgreSQL is not there yet")
}
