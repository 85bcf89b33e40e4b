package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"

	"hearth/internal/cloud"
)

// SQLite's primary result codes that mean something to the caller
// (https://sqlite.org/rescode.html).
const (
	sqliteBusy       = 5
	sqliteLocked     = 6
	sqliteReadOnly   = 8
	sqliteFull       = 13
	sqliteConstraint = 19
)

// sqliteReaders is how many views may run at once.
const sqliteReaders = 4

// sqliteEngine is SQLite in write-ahead mode: one connection writes, several
// read, each in the snapshot of its start. synchronous is FULL: what was
// acknowledged is there also after a power failure, not only after kill -9.
type sqliteEngine struct {
	db      *sql.DB
	writer  chan *sqliteConn // holds the one that is free
	readers chan *sqliteConn
	lock    *os.File
	once    sync.Once
	closed  error
}

// sqliteConn is a connection with the statements that were prepared on it.
type sqliteConn struct {
	*sql.Conn
	stmts map[string]*sql.Stmt
	home  chan *sqliteConn
}

// maxStmts bounds the prepared statements of a connection.
const maxStmts = 400

const sqlitePragmas = "_pragma=busy_timeout(10000)&_pragma=synchronous(FULL)&_pragma=temp_store(MEMORY)&_pragma=cache_size(-4000)"

// openSQLite opens a file.
func openSQLite(ctx context.Context, path string) (engine, error) {
	const op = "store.Open"
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, cloud.E(op, cloud.Internal, "the folder of %s is gone: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, cloud.E(op, cloud.Internal, "the folder of the database cannot be made: %w", err)
	}
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) // it holds password hashes
	if err != nil {
		lock.Close()
		return nil, cloud.E(op, cloud.Internal, "the database cannot be opened: %w", err)
	}
	f.Close()
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() + "?_pragma=journal_mode(WAL)&" + sqlitePragmas
	e, err := newSQLite(ctx, dsn, sqliteReaders)
	if err != nil {
		lock.Close()
		return nil, err
	}
	e.lock = lock
	return e, nil
}

// openSQLiteMemory opens a database that is gone when it is closed. Its one
// connection reads and writes, so a View inside of an Update would wait forever.
func openSQLiteMemory(ctx context.Context) (engine, error) {
	return newSQLite(ctx, "file:memory?mode=memory&"+sqlitePragmas, 0)
}

// newSQLite migrates and takes the connections. Without readers, the writer
// reads too.
func newSQLite(ctx context.Context, dsn string, readers int) (*sqliteEngine, error) {
	const op = "store.Open"
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, cloud.E(op, cloud.Internal, "the database cannot be opened: %w", err)
	}
	db.SetMaxOpenConns(1 + readers)
	db.SetMaxIdleConns(1 + readers)
	if err := migrate(ctx, goose.DialectSQLite3, "sqlite", db); err != nil {
		db.Close()
		return nil, err
	}
	e := &sqliteEngine{db: db, writer: make(chan *sqliteConn, 1)}
	e.readers = e.writer
	if readers > 0 {
		e.readers = make(chan *sqliteConn, readers)
	}
	if err := e.connect(ctx, readers); err != nil {
		db.Close()
		return nil, cloud.E(op, cloud.Internal, "the database cannot be opened: %w", err)
	}
	return e, nil
}

func (e *sqliteEngine) connect(ctx context.Context, readers int) error {
	for i := range 1 + readers {
		c, err := e.db.Conn(ctx)
		if err != nil {
			return err
		}
		conn := &sqliteConn{Conn: c, stmts: map[string]*sql.Stmt{}, home: e.writer}
		if i > 0 {
			conn.home = e.readers
			if _, err := c.ExecContext(ctx, "PRAGMA query_only = ON"); err != nil {
				return err
			}
		}
		conn.home <- conn
	}
	return nil
}

// lockFile takes the database for this process. The lock goes with the process,
// however it ends.
func lockFile(path string) (*os.File, error) {
	const op = "store.Open"
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, cloud.E(op, cloud.Internal, "the database's lock cannot be opened: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(path)
		f.Close()
		return nil, cloud.E(op, cloud.Conflict, "the database %s is in use by another hearth (process %s): stop that one or use another data folder", strings.TrimSuffix(path, ".lock"), strings.TrimSpace(string(holder)))
	}
	if err := f.Truncate(0); err == nil {
		_, err = f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
		if err != nil {
			f.Close()
			return nil, cloud.E(op, cloud.Internal, "the database's lock cannot be written: %w", err)
		}
	}
	return f, nil
}

func (e *sqliteEngine) begin(ctx context.Context, write bool) (session, error) {
	pool, text := e.readers, "BEGIN"
	if write {
		pool, text = e.writer, "BEGIN IMMEDIATE"
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case c, ok := <-pool:
		if !ok {
			return nil, errClosed
		}
		if _, err := c.exec(ctx, text, nil); err != nil {
			c.home <- c
			return nil, err
		}
		return c, nil
	}
}

var errClosed = errors.New("the database is closed")

// stmt gives the prepared statement of a text. The statement itself runs without
// the caller's cancelling, which is looked at before: statements are short, and
// an interrupted one leaves the transaction in doubt.
func (c *sqliteConn) stmt(ctx context.Context, text string) (*sql.Stmt, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s, ok := c.stmts[text]; ok {
		return s, nil
	}
	if len(c.stmts) >= maxStmts {
		for text, s := range c.stmts {
			s.Close()
			delete(c.stmts, text)
		}
	}
	s, err := c.PrepareContext(context.Background(), text)
	if err == nil {
		c.stmts[text] = s
	}
	return s, err
}

func (c *sqliteConn) query(ctx context.Context, text string, args []any) (*sql.Rows, error) {
	s, err := c.stmt(ctx, text)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(context.Background(), args...)
}

func (c *sqliteConn) exec(ctx context.Context, text string, args []any) (int64, error) {
	s, err := c.stmt(ctx, text)
	if err != nil {
		return 0, err
	}
	res, err := s.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// guarded needs no more here: a failed statement of SQLite undoes itself alone.
func (c *sqliteConn) guarded(ctx context.Context, text string, args []any) (int64, error) {
	return c.exec(ctx, text, args)
}

func (c *sqliteConn) commit(ctx context.Context, _ []string) error {
	if _, err := c.exec(ctx, "COMMIT", nil); err != nil {
		c.rollback()
		return err
	}
	c.home <- c
	return nil
}

func (c *sqliteConn) rollback() {
	_, _ = c.exec(context.Background(), "ROLLBACK", nil) // fails only when there is no transaction any more
	c.home <- c
}

func (e *sqliteEngine) classify(err error) (faultKind, string) {
	var se *sqlite.Error
	if errors.Is(err, errClosed) {
		return busy, "the database is closed"
	}
	if !errors.As(err, &se) {
		return broken, ""
	}
	switch se.Code() & 0xff {
	case sqliteBusy, sqliteLocked:
		return busy, "the database is busy"
	case sqliteFull:
		return busy, "the disk of the database is full: free some space"
	case sqliteReadOnly:
		return broken, "the database may not be written to"
	case sqliteConstraint:
		return duplicate, ""
	}
	return broken, ""
}

func (e *sqliteEngine) dialect() dialect {
	return dialect{
		mark: func(n int) string { return "?" + strconv.Itoa(n) },
		in:   "%s IN (SELECT value FROM json_each(%s))",
		list: func(list []string) any {
			b, _ := json.Marshal(list) // strings always marshal
			if list == nil {
				b = []byte("[]")
			}
			return string(b)
		},
	}
}

// close waits until every connection is home.
func (e *sqliteEngine) close() error {
	e.once.Do(func() {
		for range cap(e.writer) {
			(<-e.writer).Close()
		}
		if e.readers != e.writer {
			for range cap(e.readers) {
				(<-e.readers).Close()
			}
			close(e.readers)
		}
		close(e.writer)
		e.closed = e.db.Close()
		if e.lock != nil {
			e.lock.Close()
		}
	})
	return e.closed
}
