package store

import "context"

// Table is the rows of one noun inside a transaction.
type Table[T any] struct {
	run    *run
	schema *schema[T]
}

// Get gives the row of a key; NotFound.
func (t *Table[T]) Get(key string) (T, error) { panic("store: in the making") }

// Find gives the one row that the conditions hold for; NotFound for none,
// Conflict for several.
func (t *Table[T]) Find(conds ...Cond) (T, error) { panic("store: in the making") }

// List gives the rows of a query.
func (t *Table[T]) List(q Query) ([]T, error) { panic("store: in the making") }

// Count counts the rows that the conditions hold for.
func (t *Table[T]) Count(conds ...Cond) (int, error) { panic("store: in the making") }

// Insert adds a row; Conflict when the key, or a set of unique columns, is taken.
func (t *Table[T]) Insert(v T) error { panic("store: in the making") }

// Update replaces the row of v's key; NotFound, Conflict.
func (t *Table[T]) Update(v T) error { panic("store: in the making") }

// Put inserts or replaces the row of v's key; Conflict.
func (t *Table[T]) Put(v T) error { panic("store: in the making") }

// Delete removes the row of a key; NotFound.
func (t *Table[T]) Delete(key string) error { panic("store: in the making") }

// DeleteWhere removes the rows that the conditions hold for, and counts them.
// No condition is an error, not everything.
func (t *Table[T]) DeleteWhere(conds ...Cond) (int, error) { panic("store: in the making") }

// Store is an open database.
type Store struct{}

// Open opens the database of a URL and brings its schema up to date:
// "sqlite:/path/file.db", "sqlite::memory:" (for tests), or
// "postgres://user@host/db".
func Open(ctx context.Context, url string) (*Store, error) { panic("store: in the making") }

// View runs fn in a read-only snapshot.
func (s *Store) View(ctx context.Context, fn func(tx *Tx) error) error { panic("store: in the making") }

// Update runs fn in a transaction that is as if alone. It commits when fn
// returns nil, and is rolled back otherwise, with fn's error as it is.
func (s *Store) Update(ctx context.Context, fn func(tx *Tx) error) error {
	panic("store: in the making")
}

// Watch gives a channel that is signalled after commits that wrote to one of
// the tables (SQL names; none for all), by this process or, with PostgreSQL, by
// any. Signals are merged: a reader must look at all there is. stop ends it.
func (s *Store) Watch(tables ...string) (changed <-chan struct{}, stop func()) {
	panic("store: in the making")
}

// Close closes the database.
func (s *Store) Close() error { panic("store: in the making") }
