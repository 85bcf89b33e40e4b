package placement

import (
	"context"
	"slices"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/schedule"
	"hearth/internal/store"
)

// Service answers questions about resources, and takes what clients say of them.
type Service struct {
	store  *store.Store
	clock  cloud.Clock
	ratios schedule.Ratios
}

// New makes the service. The ratios are the housekeeper's.
func New(st *store.Store, clock cloud.Clock, ratios schedule.Ratios) *Service {
	return &Service{store: st, clock: clock, ratios: ratios}
}

// The codes of placement's errors, for clients that act on them.
const (
	CodeConcurrent   = "placement.concurrent_update"
	CodeInventoryUse = "placement.inventory.inuse"
	CodeDuplicate    = "placement.duplicate_name"
	CodeProviderUse  = "placement.resource_provider.inuse"
	CodeParent       = "placement.resource_provider.cannot_delete_parent"
	CodeNoProvider   = "placement.resource_provider.not_found"
)

// Problem is a sentence with its code.
type Problem struct{ Code, Text string }

// Error is the sentence.
func (p *Problem) Error() string { return p.Text }

func problem(op string, kind cloud.Kind, code, text string) error {
	return cloud.E(op, kind, "%w", &Problem{Code: code, Text: text})
}

// noProvider says that a provider is not there.
func noProvider(op, id string) error {
	return cloud.E(op, cloud.NotFound, "No resource provider with uuid %s found", id)
}

// world is a snapshot of everything that placement knows.
type world struct {
	fleet     schedule.Fleet
	servers   []cloud.Server
	consumers []cloud.Consumer
	names     names
}

func (s *Service) worldTx(tx *store.Tx) (w world, err error) {
	if w.servers, err = tx.Servers.List(store.Where(store.Ne("node", ""))); err != nil {
		return w, err
	}
	if w.fleet, err = FleetOfTx(tx, w.servers, s.ratios, s.clock.Now()); err != nil {
		return w, err
	}
	if w.consumers, err = tx.Consumers.List(store.Query{}); err != nil {
		return w, err
	}
	w.names, err = namesTx(tx)
	return w, err
}

// provider finds a provider.
func (w world) provider(id string) (schedule.Provider, bool) {
	i := slices.IndexFunc(w.fleet.Providers, func(p schedule.Provider) bool { return p.ID == id })
	if i < 0 {
		return schedule.Provider{}, false
	}
	return w.fleet.Providers[i], true
}

func (s *Service) view(ctx context.Context, fn func(tx *store.Tx, w world) error) error {
	return s.store.View(ctx, func(tx *store.Tx) error {
		w, err := s.worldTx(tx)
		if err != nil {
			return err
		}
		return fn(tx, w)
	})
}

func (s *Service) update(ctx context.Context, fn func(tx *store.Tx, w world) error) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		w, err := s.worldTx(tx)
		if err != nil {
			return err
		}
		return fn(tx, w)
	})
}

// rowTx gives the row of a provider: what clients said about it. A host of which
// nothing was said yet gets a new one.
func rowTx(tx *store.Tx, p schedule.Provider) (cloud.ResourceProvider, error) {
	row, err := tx.Providers.Get(p.ID)
	if cloud.Is(err, cloud.NotFound) {
		return cloud.ResourceProvider{ID: p.ID, Name: p.Name, CreatedAt: p.CreatedAt}, nil
	}
	return row, err
}

// change changes a provider's row of the generation that the client knows (nil for
// any), and gives the provider as it is then.
func (s *Service) change(ctx context.Context, op, id string, generation *int64, do func(w world, p schedule.Provider, row *cloud.ResourceProvider) error) (out schedule.Provider, err error) {
	err = s.update(ctx, func(tx *store.Tx, w world) error {
		if err := s.changeTx(tx, w, op, id, generation, do); err != nil {
			return err
		}
		after, err := s.worldTx(tx)
		out, _ = after.provider(id)
		return err
	})
	return out, err
}

func (s *Service) changeTx(tx *store.Tx, w world, op, id string, generation *int64, do func(w world, p schedule.Provider, row *cloud.ResourceProvider) error) error {
	p, ok := w.provider(id)
	if !ok {
		return noProvider(op, id)
	}
	if generation != nil && *generation != p.Generation {
		return problem(op, cloud.Conflict, CodeConcurrent, "resource provider generation conflict: Resource provider's generation already changed. Please update the generation and try again.")
	}
	row, err := rowTx(tx, p)
	if err != nil {
		return err
	}
	if err := do(w, p, &row); err != nil {
		return err
	}
	row.Generation++
	row.UpdatedAt = s.clock.Now()
	return tx.Providers.Put(row)
}

// Now is the service's time, in UTC.
func (s *Service) Now() time.Time { return s.clock.Now().UTC() }
