// Package operate is what the operator of the cloud asks of it beyond the
// OpenStack APIs: where everything of a server, volume, image or port is, what
// still fits, and whether anything is left over or missing.
package operate

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/node"
	"hearth/internal/schedule"
	"hearth/internal/store"
)

// Blobs lists the bytes that the image service keeps.
type Blobs interface {
	// Digests lists what is kept, by digest ("sha512:<hex>").
	Digests(ctx context.Context) ([]string, error)
	// Path is the file with the bytes of a digest; NotFound.
	Path(digest string) (string, error)
}

// Service answers the operator.
type Service struct {
	store  *store.Store
	clock  cloud.Clock
	fleet  *node.Fleet
	blobs  Blobs
	ratios schedule.Ratios
	log    *slog.Logger
}

// New makes the service. The ratios are those that servers are placed by.
func New(st *store.Store, clock cloud.Clock, fleet *node.Fleet, blobs Blobs, ratios schedule.Ratios, log *slog.Logger) *Service {
	return &Service{store: st, clock: clock, fleet: fleet, blobs: blobs, ratios: ratios, log: log}
}

// Explanation is one page about one thing.
type Explanation struct {
	Title string       `json:"title"`
	Facts []cloud.Fact `json:"facts"`
}

func (e *Explanation) say(topic, format string, args ...any) {
	e.Facts = append(e.Facts, cloud.Fact{Topic: topic, Value: fmt.Sprintf(format, args...)})
}

// moment is a time in the form of the logs.
func moment(t time.Time) string { return t.Format("2006-01-02 15:04:05.000 MST") }
