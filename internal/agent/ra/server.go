package ra

import (
	"context"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/net/ipv6"
	"golang.org/x/time/rate"

	"hearth/internal/cloud"
)

// Server advertises on one interface.
type Server struct {
	conn   *ipv6.PacketConn
	config atomic.Pointer[Config]
	limit  *rate.Limiter
	clock  cloud.Clock
	log    *slog.Logger
	told   chan struct{} // a new configuration is to be told
}

// allNodes is where advertisements go that nobody asked for.
var allNodes = &net.IPAddr{IP: net.ParseIP("ff02::1")}

// NewServer makes a server on a raw ICMPv6 socket that is bound to the
// interface and is in the group of all routers (ff02::2). Log may be nil.
func NewServer(conn net.PacketConn, config Config, clock cloud.Clock, log *slog.Logger) *Server {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Server{conn: ipv6.NewPacketConn(conn), limit: rate.NewLimiter(10, 20), clock: clock, log: log, told: make(chan struct{}, 1)}
	s.Update(config)
	return s
}

// Update gives the server what to advertise, which it does at once.
func (s *Server) Update(config Config) {
	s.config.Store(&config)
	select {
	case s.told <- struct{}{}:
	default:
	}
}

// prepare sets what the protocol asks of a socket: hop limit 255 shows that a
// packet was not routed.
func (s *Server) prepare() {
	var filter ipv6.ICMPFilter
	filter.SetAll(true)
	filter.Accept(ipv6.ICMPTypeRouterSolicitation)
	for _, err := range []error{
		s.conn.SetMulticastHopLimit(255), s.conn.SetHopLimit(255), s.conn.SetMulticastLoopback(false),
		s.conn.SetControlMessage(ipv6.FlagHopLimit, true), s.conn.SetICMPFilter(&filter),
	} {
		if err != nil {
			s.log.Debug("socket for router advertisements", "error", err)
		}
	}
}

// Serve advertises when asked, when the configuration changes, and now and
// then, until ctx ends, and closes the socket.
func (s *Server) Serve(ctx context.Context) {
	s.prepare()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.listen()
	}()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			_ = s.conn.Close()
			<-done
			return
		case <-s.told:
		case <-ticker.C:
		}
		s.send(allNodes)
	}
}

// listen answers solicitations until the socket is closed.
func (s *Server) listen() {
	buf := make([]byte, 1500)
	for {
		n, control, from, err := s.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		if control == nil || !Solicitation(buf[:n], control.HopLimit) || !s.limit.AllowN(s.clock.Now(), 1) {
			continue
		}
		if ip, ok := from.(*net.IPAddr); ok && !ip.IP.IsUnspecified() {
			s.send(from)
			continue
		}
		s.send(allNodes)
	}
}

// Solicitation tells whether a message is a valid router solicitation.
func Solicitation(m []byte, hopLimit int) bool {
	if hopLimit != 255 || len(m) < 8 || m[0] != typeSolicitation || m[1] != 0 {
		return false
	}
	for rest := m[8:]; len(rest) > 0; {
		if len(rest) < 2 || rest[1] == 0 || len(rest) < 8*int(rest[1]) {
			return false
		}
		rest = rest[8*int(rest[1]):]
	}
	return true
}

func (s *Server) send(to net.Addr) {
	message := s.config.Load().Advertisement(lifetimeRouter)
	if _, err := s.conn.WriteTo(message, nil, to); err != nil {
		s.log.Debug("router advertisement not sent", "to", to.String(), "error", err)
	}
}

// Farewell tells the guests that this router is no way out any more.
func (s *Server) Farewell() {
	message := s.config.Load().Advertisement(0)
	if _, err := s.conn.WriteTo(message, nil, allNodes); err != nil {
		s.log.Debug("farewell of a router not sent", "error", err)
	}
}
