package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"fmt"

	"hearth/internal/cloud"
)

// run is the engine side of a transaction.
type run struct {
	ctx     context.Context
	store   *Store
	session session
	write   bool
	done    bool
	touched map[string]bool // tables written to
	clash   error           // the first conflict with another transaction: all is run again
}

// session is one transaction of an engine.
type session interface {
	query(ctx context.Context, text string, args []any) (*sql.Rows, error)
	exec(ctx context.Context, text string, args []any) (int64, error)
	// guarded is exec of a statement whose failure must leave the transaction
	// usable.
	guarded(ctx context.Context, text string, args []any) (int64, error)
	commit(ctx context.Context, touched []string) error
	rollback()
}

// query runs a reading statement and scans each row with fn.
func (r *run) query(op, text string, args []any, fn func(scan func(...any) error) error) error {
	if r.done {
		return cloud.E(op, cloud.Internal, "the transaction is over: a Tx is valid only inside its function")
	}
	rows, err := r.session.query(r.ctx, text, args)
	if err != nil {
		return r.fail(op, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows.Scan); err != nil {
			return cloud.E(op, cloud.Internal, "the row cannot be read: %w", err)
		}
	}
	if err := rows.Err(); err != nil {
		return r.fail(op, err)
	}
	return nil
}

// exec runs a writing statement on a table and counts the rows it changed.
func (r *run) exec(op, table, text string, args []any, guard bool) (int64, error) {
	switch {
	case r.done:
		return 0, cloud.E(op, cloud.Internal, "the transaction is over: a Tx is valid only inside its function")
	case !r.write:
		return 0, cloud.E(op, cloud.Internal, "a view cannot write: use Update")
	}
	do := r.session.exec
	if guard {
		do = r.session.guarded
	}
	n, err := do(r.ctx, text, args)
	if err != nil {
		return 0, r.fail(op, err)
	}
	if n > 0 {
		r.touched[table] = true
	}
	return n, nil
}

// fail gives an engine's error its kind, and remembers a clash.
func (r *run) fail(op string, err error) error {
	kind, sentence := r.store.engine.classify(err)
	if kind == clash && r.clash == nil {
		r.clash = err
	}
	return failure(op, kind, sentence, err)
}

// faultKind is what an engine says of one of its errors.
type faultKind uint8

const (
	broken    faultKind = iota // anything else
	clash                      // lost against another transaction: run again
	duplicate                  // a unique index
	busy                       // try later
	badValue                   // a value that the engine cannot hold
)

// errDuplicate marks the violation of a unique index inside of a cloud.Error.
type errDuplicate struct{ cause error }

func (e errDuplicate) Error() string { return e.cause.Error() }
func (e errDuplicate) Unwrap() error { return e.cause }

func failure(op string, kind faultKind, sentence string, err error) error {
	if sentence == "" {
		sentence = "the database failed"
	}
	switch kind {
	case clash:
		return cloud.E(op, cloud.Conflict, "another transaction changed the same rows: %w", err)
	case duplicate:
		return cloud.E(op, cloud.Conflict, "%w", errDuplicate{err})
	case busy:
		return cloud.E(op, cloud.Unavailable, "%s: %w", sentence, err)
	case badValue:
		return cloud.E(op, cloud.Invalid, "%s: %w", sentence, err)
	}
	return cloud.E(op, cloud.Internal, "%s: %w", sentence, err)
}

// newRevision makes the mark of one version of a row. It is random, so that no
// rolled back, deleted or foreign version ever shares it.
func newRevision() int64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return int64(binary.LittleEndian.Uint64(b[:]) >> 1)
}

// dialect is where the engines' SQL differs.
type dialect struct {
	mark  func(n int) string // the n-th argument, from 1
	in    string             // a column in a list argument; %s is the column, then the argument
	list  func([]string) any // a list argument
	nulls bool               // whether the order of nulls must be said
}

func (d dialect) inList(column string, n int) string { return fmt.Sprintf(d.in, column, d.mark(n)) }
