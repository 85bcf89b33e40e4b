package store

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"hearth/internal/cloud"
)

// postgresConns is how many transactions of one head run at once.
const postgresConns = 10

// postgresEngine is PostgreSQL. Updates are serializable, so that nothing that
// was read has changed when they commit; those that lose are run again. Views
// see one snapshot.
type postgresEngine struct {
	db       *sql.DB
	listener *listener
}

func openPostgres(ctx context.Context, url string, b *bell) (engine, error) {
	const op = "store.Open"
	config, err := pgx.ParseConfig(url)
	if err != nil { // its text has no password
		return nil, cloud.E(op, cloud.Invalid, "the database URL is not one of PostgreSQL: %w", err)
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "hearth"
	}
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(postgresConns)
	db.SetMaxIdleConns(postgresConns)
	e := &postgresEngine{db: db}
	if err := e.start(ctx, config, b); err != nil {
		db.Close()
		return nil, err
	}
	return e, nil
}

// start migrates, one head at a time, and listens.
func (e *postgresEngine) start(ctx context.Context, config *pgx.ConnConfig, b *bell) error {
	const op = "store.Open"
	if err := e.db.PingContext(ctx); err != nil {
		return cloud.E(op, cloud.Unavailable, "PostgreSQL at %s does not answer: %w", config.Host, err)
	}
	var encoding string
	if err := e.db.QueryRowContext(ctx, "SHOW server_encoding").Scan(&encoding); err != nil {
		return cloud.E(op, cloud.Unavailable, "PostgreSQL at %s does not tell its encoding: %w", config.Host, err)
	}
	if encoding != "UTF8" {
		return cloud.E(op, cloud.Invalid, "the database %s has the encoding %s, which cannot compare names: make it with ENCODING 'UTF8'", config.Database, encoding)
	}
	alone, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return cloud.E(op, cloud.Internal, "no lock for the migrations: %w", err)
	}
	if err := migrate(ctx, goose.DialectPostgres, "postgres", e.db, goose.WithSessionLocker(alone)); err != nil {
		return err
	}
	e.listener, err = listen(ctx, config, b)
	return err
}

func (e *postgresEngine) begin(ctx context.Context, write bool) (session, error) {
	opts := &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	if write {
		opts = &sql.TxOptions{Isolation: sql.LevelSerializable}
	}
	tx, err := e.db.BeginTx(ctx, opts)
	if err != nil {
		return nil, err
	}
	return &postgresSession{tx: tx, engine: e}, nil
}

// postgresSession is a transaction.
type postgresSession struct {
	tx     *sql.Tx
	engine *postgresEngine
}

func (s *postgresSession) query(ctx context.Context, text string, args []any) (*sql.Rows, error) {
	return s.tx.QueryContext(ctx, text, args...)
}

func (s *postgresSession) exec(ctx context.Context, text string, args []any) (int64, error) {
	res, err := s.tx.ExecContext(ctx, text, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// guarded goes back to a savepoint on failure: PostgreSQL refuses everything
// after a failed statement otherwise.
func (s *postgresSession) guarded(ctx context.Context, text string, args []any) (int64, error) {
	if _, err := s.exec(ctx, "SAVEPOINT guard", nil); err != nil {
		return 0, err
	}
	n, err := s.exec(ctx, text, args)
	if err != nil {
		_, back := s.exec(ctx, "ROLLBACK TO SAVEPOINT guard", nil)
		return 0, errors.Join(err, back)
	}
	_, err = s.exec(ctx, "RELEASE SAVEPOINT guard", nil)
	return n, err
}

// commit tells the other heads in the same transaction: PostgreSQL delivers when
// it has committed.
func (s *postgresSession) commit(ctx context.Context, touched []string) error {
	if len(touched) > 0 {
		l := s.engine.listener
		if _, err := s.exec(ctx, "SELECT pg_notify($1, $2)", []any{l.channel, l.self + ":" + strings.Join(touched, ",")}); err != nil {
			s.rollback()
			return err
		}
	}
	err := s.tx.Commit()
	if errors.Is(err, sql.ErrTxDone) && ctx.Err() != nil { // rolled back because the caller went away
		return ctx.Err()
	}
	return err
}

func (s *postgresSession) rollback() {
	_ = s.tx.Rollback() // what cannot be rolled back has lost its connection, and is
}

// classify reads the SQLSTATE
// (https://www.postgresql.org/docs/current/errcodes-appendix.html).
func (e *postgresEngine) classify(err error) (faultKind, string) {
	var pe *pgconn.PgError
	var ce *pgconn.ConnectError
	switch {
	case errors.Is(err, sql.ErrConnDone):
		return busy, "the database is closed"
	case errors.As(err, &ce):
		return busy, "PostgreSQL does not answer"
	case !errors.As(err, &pe):
		if err.Error() == "sql: database is closed" { // database/sql does not export it
			return busy, "the database is closed"
		}
		return broken, ""
	}
	switch {
	case pe.Code == "40001", pe.Code == "40P01":
		return clash, ""
	case pe.Code == "23505":
		return duplicate, ""
	case pe.Code == "53100":
		return busy, "the disk of the database is full: free some space"
	case strings.HasPrefix(pe.Code, "53"), strings.HasPrefix(pe.Code, "57P"), strings.HasPrefix(pe.Code, "08"):
		return busy, "PostgreSQL is not available"
	case strings.HasPrefix(pe.Code, "22"):
		return badValue, "the database cannot hold a value"
	}
	return broken, ""
}

func (e *postgresEngine) dialect() dialect {
	return dialect{
		mark:  func(n int) string { return "$" + strconv.Itoa(n) },
		in:    "%s = ANY(%s)",
		list:  func(list []string) any { return list },
		nulls: true,
	}
}

func (e *postgresEngine) close() error {
	e.listener.close()
	return e.db.Close()
}
