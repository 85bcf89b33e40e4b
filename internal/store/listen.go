package store

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"hearth/internal/cloud"
)

// listener hears what other heads committed, by PostgreSQL's LISTEN on a
// connection of its own. A notification's payload is the sender's mark and the
// tables: "mark:servers,ports".
type listener struct {
	self, channel string
	config        *pgx.ConnConfig
	bell          *bell
	stop          context.CancelFunc
	ended         chan struct{}
}

// relistenAfter is how long a lost connection stays lost at least.
const relistenAfter = time.Second

func listen(ctx context.Context, config *pgx.ConnConfig, b *bell) (*listener, error) {
	const op = "store.Open"
	l := &listener{self: cloud.NewHexID(), config: config, bell: b, ended: make(chan struct{})}
	conn, err := l.connect(ctx)
	if err != nil {
		return nil, cloud.E(op, cloud.Unavailable, "PostgreSQL does not let listen: %w", err)
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.stop = stop
	go l.run(running, conn)
	return l, nil
}

// connect listens to the channel of the schema in use.
func (l *listener) connect(ctx context.Context) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, l.config)
	if err != nil {
		return nil, err
	}
	if l.channel == "" { // once, before anybody reads it
		err = conn.QueryRow(ctx, "SELECT 'hearth_' || current_schema()").Scan(&l.channel)
	}
	if err == nil {
		_, err = conn.Exec(ctx, "LISTEN "+pgx.Identifier{l.channel}.Sanitize())
	}
	if err != nil {
		conn.Close(context.WithoutCancel(ctx))
		return nil, err
	}
	return conn, nil
}

// run hears until it is stopped. After a lost connection everyone is signalled:
// nobody knows what was missed.
func (l *listener) run(ctx context.Context, conn *pgx.Conn) {
	defer close(l.ended)
	for {
		l.hear(ctx, conn)
		conn.Close(context.WithoutCancel(ctx))
		for {
			timer := time.NewTimer(relistenAfter)
			select {
			case <-ctx.Done():
				timer.Stop()
				return
			case <-timer.C:
			}
			var err error
			if conn, err = l.connect(ctx); err == nil {
				l.bell.ringAll()
				break
			}
		}
	}
}

// hear rings for every notification of another head, until the connection fails.
func (l *listener) hear(ctx context.Context, conn *pgx.Conn) {
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return
		}
		from, tables, _ := strings.Cut(n.Payload, ":")
		if from != l.self { // our own commits have rung already
			l.bell.ring(strings.Split(tables, ","))
		}
	}
}

func (l *listener) close() {
	l.stop()
	<-l.ended
}
