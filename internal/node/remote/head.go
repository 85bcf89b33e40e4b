package remote

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/http2"

	"hearth/internal/cloud"
	"hearth/internal/node"
	"hearth/internal/node/remote/pki"
)

// HeadConfig is what a Head is made of.
type HeadConfig struct {
	Identity Identity
	Images   node.Images
	// Known refuses a node by its name; nil takes all that have a certificate.
	Known func(name string) error
	// Join and Leave are told of nodes that come and go; node.Fleet has both.
	Join  func(name string, n node.Node)
	Leave func(name string)
	Log   *slog.Logger
}

// Head takes the connections of nodes.
type Head struct {
	HeadConfig
	tls    *tls.Config
	images http.Handler

	mu    sync.Mutex
	lines map[string]net.Conn // of each node, the newest
}

// NewHead makes a head; Serve lets nodes in.
func NewHead(cfg HeadConfig) *Head {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Head{HeadConfig: cfg, tls: cfg.Identity.config(pki.RoleNode, protocolNode, protocolImages), images: imageHandler(cfg.Images), lines: map[string]net.Conn{}}
}

// Serve takes connections until ctx ends or ln fails, and closes ln and all
// connections.
func (h *Head) Serve(ctx context.Context, ln net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()
	for {
		conn, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return cloud.E("remote.Serve", cloud.Internal, "connections of nodes cannot be taken: %w", err)
		}
		group.Go(func() {
			defer conn.Close()
			stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
			defer stop()
			if err := h.serve(ctx, conn); err != nil && ctx.Err() == nil {
				h.Log.Warn("a node's connection was refused or lost", "from", conn.RemoteAddr().String(), "error", err)
			}
		})
	}
}

// serve sees to one connection until it ends.
func (h *Head) serve(ctx context.Context, raw net.Conn) error {
	conn := tls.Server(raw, h.tls)
	shake, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := conn.HandshakeContext(shake); err != nil {
		return err
	}
	state := conn.ConnectionState()
	name := state.PeerCertificates[0].Subject.CommonName
	if h.Known != nil {
		if err := h.Known(name); err != nil {
			return err
		}
	}
	switch state.NegotiatedProtocol {
	case protocolImages:
		server := &http2.Server{IdleTimeout: 5 * time.Minute, ReadIdleTimeout: idle, PingTimeout: patience}
		server.ServeConn(conn, &http2.ServeConnOpts{Context: ctx, Handler: h.images})
		return nil
	case protocolNode:
		return h.keep(ctx, name, conn)
	}
	return cloud.E("remote.Serve", cloud.Invalid, "node %s named no protocol: it is of another version", name)
}

// keep has a node in the fleet as long as its connection lasts.
func (h *Head) keep(ctx context.Context, name string, conn net.Conn) error {
	lost := make(chan struct{})
	var once sync.Once
	watched := &watchedConn{Conn: conn, closed: func() { once.Do(func() { close(lost) }) }}
	transport := &http2.Transport{AllowHTTP: true, ReadIdleTimeout: idle, PingTimeout: patience}
	line, err := transport.NewClientConn(watched)
	if err != nil {
		return err
	}
	h.mu.Lock()
	if old := h.lines[name]; old != nil {
		_ = old.Close() // the node has come again: the old line is dead, or soon found so
	}
	h.lines[name] = conn
	h.Join(name, newClient(name, line))
	h.mu.Unlock()
	h.Log.Info("a node has joined", "node", name, "from", conn.RemoteAddr().String())
	select {
	case <-lost:
	case <-ctx.Done():
	}
	h.mu.Lock()
	if h.lines[name] == conn {
		delete(h.lines, name)
		h.Leave(name)
	}
	h.mu.Unlock()
	return line.Close()
}

// watchedConn tells when the connection is found lost or closed.
type watchedConn struct {
	net.Conn
	closed func()
}

func (c *watchedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.closed()
	}
	return n, err
}

func (c *watchedConn) Close() error {
	c.closed()
	return c.Conn.Close()
}
