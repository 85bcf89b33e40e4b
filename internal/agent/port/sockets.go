package port

import (
	"context"
	"errors"
	"net"
	"sync"

	"hearth/internal/agent/ra"
)

// sockets are the open sockets at a place, with the servers on them.
type sockets struct {
	manager *Manager
	place   string
	ctx     context.Context // ends when the sockets are closed
	cancel  context.CancelFunc
	running sync.WaitGroup
	closers []func()
	opened  int
}

func newSockets(m *Manager, place string) *sockets {
	ctx, cancel := context.WithCancel(context.Background())
	return &sockets{manager: m, place: place, ctx: ctx, cancel: cancel}
}

func (s *sockets) count() int { return s.opened }

func (s *sockets) onClose(fn func()) { s.closers = append(s.closers, fn) }

// packet opens a datagram socket and serves it.
func (s *sockets) packet(ctx context.Context, network, address string, serve func(net.PacketConn) error) error {
	conn, err := s.manager.driver.ListenPacket(ctx, s.place, network, address)
	if err != nil {
		return err
	}
	s.run(address, func() error { return serve(conn) })
	s.onClose(func() { _ = conn.Close() })
	return nil
}

// stream opens a listener and serves it.
func (s *sockets) stream(ctx context.Context, network, address string, serve func(net.Listener) error) error {
	l, err := s.manager.driver.Listen(ctx, s.place, network, address)
	if err != nil {
		return err
	}
	s.run(address, func() error { return serve(l) })
	s.onClose(func() { _ = l.Close() })
	return nil
}

// advertise opens a socket for router advertisements and serves it.
func (s *sockets) advertise(ctx context.Context, config ra.Config) (*ra.Server, error) {
	conn, err := s.manager.driver.ListenPacket(ctx, s.place, "ip6:ipv6-icmp", "ff02::2")
	if err != nil {
		return nil, err
	}
	server := ra.NewServer(conn, config, s.manager.options.Clock, s.manager.log)
	s.run("router advertisements", func() error { server.Serve(s.ctx); return nil })
	return server, nil
}

func (s *sockets) run(what string, serve func() error) {
	s.opened++
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		err := serve()
		if err != nil && s.ctx.Err() == nil && !errors.Is(err, net.ErrClosed) {
			s.manager.log.Error("a server of a network ended", "place", s.place, "address", what, "error", err)
		}
	}()
}

// optional notes that a socket could not be had which guests can do without:
// those of IPv6, on a host that has none.
func (s *sockets) optional(err error) {
	if err != nil {
		s.manager.log.Warn("a server of a network is missing", "place", s.place, "error", err)
	}
}

// close ends the servers and waits for them.
func (s *sockets) close() {
	s.cancel()
	for _, fn := range s.closers {
		fn()
	}
	s.running.Wait()
}
