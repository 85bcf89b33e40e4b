package store

import (
	"context"
	"errors"
	"math/rand/v2"
	"sort"
	"strings"
	"time"

	"hearth/internal/cloud"
)

// Store is an open database. It is safe for concurrent use.
type Store struct {
	engine  engine
	shelves map[string]any // by table: *shelf[T]
	bell    *bell
}

// engine is one of the two databases.
type engine interface {
	begin(ctx context.Context, write bool) (session, error)
	classify(err error) (faultKind, string)
	dialect() dialect
	close() error
}

// Open opens the database of a URL and brings its schema up to date:
// "sqlite:/path/file.db", "sqlite::memory:" (for tests), or
// "postgres://user@host/db".
//
// A SQLite file belongs to one process: a second one that opens it is refused
// with Conflict. Its folder is made if need be.
func Open(ctx context.Context, url string) (*Store, error) {
	const op = "store.Open"
	s := &Store{bell: newBell()}
	var err error
	switch {
	case url == "sqlite::memory:":
		s.engine, err = openSQLiteMemory(ctx)
	case strings.HasPrefix(url, "sqlite:"):
		s.engine, err = openSQLite(ctx, strings.TrimPrefix(strings.TrimPrefix(url, "sqlite:"), "//"))
	case strings.HasPrefix(url, "postgres://"), strings.HasPrefix(url, "postgresql://"):
		s.engine, err = openPostgres(ctx, url, s.bell)
	default:
		scheme, _, _ := strings.Cut(url, ":")
		return nil, cloud.E(op, cloud.Invalid, "the database URL starts with %q: write sqlite:/path/file.db or postgres://user@host/db", scheme+":")
	}
	if err != nil {
		return nil, err
	}
	s.shelves = newShelves()
	return s, nil
}

// View runs fn in a read-only snapshot.
func (s *Store) View(ctx context.Context, fn func(tx *Tx) error) error {
	_, err := s.once(ctx, false, fn)
	return err
}

// maxTries bounds how often a transaction is run against others that win.
const maxTries = 40

// Update runs fn in a transaction that is as if alone. It commits when fn
// returns nil, and is rolled back otherwise, with fn's error as it is.
func (s *Store) Update(ctx context.Context, fn func(tx *Tx) error) error {
	for try := 1; ; try++ {
		clashed, err := s.once(ctx, true, fn)
		if !clashed {
			return err
		}
		if try == maxTries {
			return cloud.E("store.Update", cloud.Unavailable, "the database is too busy: the transaction lost %d times against others, try again: %w", maxTries, err)
		}
		if err := pause(ctx, try); err != nil {
			return err
		}
	}
}

// pause lets the winner of a clash finish: not at all at first, then a random
// time of up to 2 ms for each try.
func pause(ctx context.Context, try int) error {
	if try < 3 {
		return ctx.Err()
	}
	timer := time.NewTimer(rand.N(time.Duration(try) * 2 * time.Millisecond))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// once runs fn in one transaction. clashed says that it was rolled back for
// another's sake.
func (s *Store) once(ctx context.Context, write bool, fn func(tx *Tx) error) (clashed bool, err error) {
	const op = "store.Update"
	ses, err := s.engine.begin(ctx, write)
	if err != nil {
		return false, s.wrap(op, err)
	}
	r := &run{ctx: ctx, store: s, session: ses, write: write, touched: map[string]bool{}}
	open := true
	defer func() { // also when fn panics
		r.done = true
		if open {
			ses.rollback()
		}
	}()
	if err := fn(newTx(r)); err != nil || r.clash != nil {
		if err == nil { // fn swallowed the clash
			err = r.clash
		}
		return r.clash != nil, err
	}
	open = false
	tables := keys(r.touched)
	if err := ses.commit(ctx, tables); err != nil {
		kind, _ := s.engine.classify(err)
		return kind == clash, s.wrap(op, err)
	}
	s.bell.ring(tables)
	return false, nil
}

// wrap gives an engine's error its kind.
func (s *Store) wrap(op string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	kind, sentence := s.engine.classify(err)
	return failure(op, kind, sentence, err)
}

// Watch gives a channel that is signalled after commits that wrote to one of
// the tables (SQL names; none for all), by this process or, with PostgreSQL, by
// any. Signals are merged: a reader must look at all there is. stop ends it.
func (s *Store) Watch(tables ...string) (changed <-chan struct{}, stop func()) {
	return s.bell.watch(tables)
}

// Heard counts the commits to each of some tables, this head's and those of others that
// it has been told of. What a transaction that begins later reads is at least as new as
// the counts: while they stay, so does what it read.
func (s *Store) Heard(tables ...string) []int64 { return s.bell.heard(tables) }

// Close closes the database. It waits for the transactions under way.
func (s *Store) Close() error { return s.engine.close() }

func keys(set map[string]bool) []string {
	if len(set) == 0 {
		return nil
	}
	list := make([]string, 0, len(set))
	for k := range set {
		list = append(list, k)
	}
	sort.Strings(list)
	return list
}
