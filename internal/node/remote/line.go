package remote

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
)

// line is an open connection that HTTP/2 is spoken on, by either end as client.
// It tells when it is found lost. It hides that it is TLS from net/http, which
// would want to choose the protocol by itself.
type line struct {
	net.Conn
	once sync.Once
	lost chan struct{}
}

func newLine(conn net.Conn) *line { return &line{Conn: conn, lost: make(chan struct{})} }

func (l *line) end() { l.once.Do(func() { close(l.lost) }) }

// Read implements net.Conn.
func (l *line) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	if err != nil {
		l.end()
	}
	return n, err
}

// Close implements net.Conn.
func (l *line) Close() error {
	l.end()
	return l.Conn.Close()
}

// http2Only is HTTP/2 without the choice that TLS would make; the connection
// beneath is encrypted.
func http2Only() *http.Protocols {
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	return &p
}

func signsOfLife() *http.HTTP2Config {
	return &http.HTTP2Config{SendPingTimeout: idle, PingTimeout: patience}
}

// client makes this end the HTTP client on the line.
func (l *line) client(ctx context.Context) (*http.ClientConn, error) {
	transport := &http.Transport{
		Protocols: http2Only(), HTTP2: signsOfLife(), DisableCompression: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) { return l, nil },
	}
	return transport.NewClientConn(ctx, "http", "peer:80")
}

// serve makes this end the HTTP server on the line, until the line is lost or
// ctx ends, and closes it.
func (l *line) serve(ctx context.Context, h http.Handler, log *slog.Logger) {
	server := &http.Server{
		Handler: h, Protocols: http2Only(), HTTP2: signsOfLife(), ReadHeaderTimeout: patience,
		BaseContext: func(net.Listener) context.Context { return ctx }, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	_ = server.Serve(&single{line: l}) // always fails: there is but one connection
	_ = server.Close()
}

// single is a listener that has one connection, and ends when that is lost.
type single struct {
	line  *line
	given bool
}

var errOnlyOne = errors.New("the line is lost")

// Accept implements net.Listener.
func (s *single) Accept() (net.Conn, error) {
	if !s.given {
		s.given = true
		return s.line, nil
	}
	<-s.line.lost
	return nil, errOnlyOne
}

// Close implements net.Listener.
func (s *single) Close() error { return s.line.Close() }

// Addr implements net.Listener.
func (s *single) Addr() net.Addr { return s.line.LocalAddr() }
