package remote

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"time"

	"golang.org/x/net/http2"

	"hearth/internal/cloud"
	"hearth/internal/node"
	"hearth/internal/node/remote/pki"
)

// NodeConfig is what a node needs to be at a head's service.
type NodeConfig struct {
	Identity Identity
	Head     string // address, host:port
	HeadName string // in the head's certificate; "": the host of Head
	Log      *slog.Logger
	// Wait waits between tries to reach the head; nil: on the machine's clock.
	Wait func(ctx context.Context, d time.Duration)
}

func (c NodeConfig) withDefaults() NodeConfig {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.HeadName == "" {
		c.HeadName, _, _ = net.SplitHostPort(c.Head)
	}
	if c.Wait == nil {
		c.Wait = func(ctx context.Context, d time.Duration) {
			t := time.NewTimer(d)
			defer t.Stop()
			select {
			case <-ctx.Done():
			case <-t.C:
			}
		}
	}
	return c
}

// dial opens a connection to the head for a protocol.
func (c NodeConfig) dial(ctx context.Context, protocol string) (net.Conn, error) {
	const op = "remote.Dial"
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	config := c.Identity.config(pki.RoleHead, protocol)
	config.ServerName = c.HeadName
	dialer := &tls.Dialer{Config: config}
	conn, err := dialer.DialContext(ctx, "tcp", c.Head)
	if err != nil {
		return nil, cloud.E(op, cloud.Unavailable, "the head at %s cannot be reached: %w", c.Head, err)
	}
	return conn, nil
}

// Waits between tries to reach the head.
const (
	firstWait = time.Second
	lastWait  = 30 * time.Second
)

// Serve puts a node at the service of a head until ctx ends. A lost connection
// is made anew, with waits that grow while the head cannot be reached.
func Serve(ctx context.Context, cfg NodeConfig, n node.Node) error {
	cfg = cfg.withDefaults()
	h := handler(n)
	for wait := firstWait; ctx.Err() == nil; wait = min(2*wait, lastWait) {
		conn, err := cfg.dial(ctx, protocolNode)
		if err == nil {
			wait = firstWait
			cfg.Log.Info("connected to the head", "head", cfg.Head)
			stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
			server := &http2.Server{ReadIdleTimeout: idle, PingTimeout: patience}
			server.ServeConn(conn, &http2.ServeConnOpts{Context: ctx, Handler: h})
			stop()
			_ = conn.Close()
			err = cloud.E("remote.Serve", cloud.Unavailable, "the connection to the head was lost")
		}
		if ctx.Err() == nil {
			cfg.Log.Warn("no connection to the head; guests go on without", "error", err, "again_in", wait)
			cfg.Wait(ctx, wait)
		}
	}
	return ctx.Err()
}
