package dns

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"hearth/internal/cloud"
)

// Resolver passes a question on.
type Resolver interface {
	// Resolve gives the answer of the world, or an error at once or soon.
	Resolve(ctx context.Context, query *dns.Msg) (*dns.Msg, error)
}

// Server answers the guests of one network. Update gives it another zone while
// it serves.
type Server struct {
	zone     atomic.Pointer[Zone]
	resolver Resolver
	busy     chan struct{}
	log      *slog.Logger
}

// atOnce is how many questions of one network are on their way to the world at
// the same time; more are refused.
const atOnce = 64

// NewServer makes a server with an empty zone. Resolver is nil when there is no
// way to the world: then other names are refused. Log may be nil.
func NewServer(resolver Resolver, log *slog.Logger) *Server {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Server{resolver: resolver, busy: make(chan struct{}, atOnce), log: log}
	s.Update(NewZone(cloud.NetworkSpec{}))
	return s
}

// Update gives the server its names from now on.
func (s *Server) Update(zone *Zone) { s.zone.Store(zone) }

// ServePacket answers over UDP until the socket is closed.
func (s *Server) ServePacket(conn net.PacketConn) error {
	return ended((&dns.Server{PacketConn: conn, Handler: s}).ActivateAndServe())
}

// Bounds of a TCP connection.
const (
	idle       = 8 * time.Second
	maxQueries = 128
)

// ServeStream answers over TCP until the listener is closed.
func (s *Server) ServeStream(l net.Listener) error {
	return ended((&dns.Server{Listener: l, Handler: s, ReadTimeout: idle, IdleTimeout: func() time.Duration { return idle }, MaxTCPQueries: maxQueries}).ActivateAndServe())
}

func ended(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// ServeDNS implements dns.Handler.
func (s *Server) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	resp := s.Answer(context.Background(), query)
	if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
		size := dns.MinMsgSize
		if o := query.IsEdns0(); o != nil && int(o.UDPSize()) > size {
			size = int(o.UDPSize())
		}
		resp.Truncate(size)
	}
	if err := w.WriteMsg(resp); err != nil {
		s.log.Debug("DNS answer could not be sent", "to", w.RemoteAddr().String(), "error", err)
	}
}

// Answer is the answer to a query.
func (s *Server) Answer(ctx context.Context, query *dns.Msg) *dns.Msg {
	resp := new(dns.Msg).SetReply(query)
	resp.RecursionAvailable = s.resolver != nil
	if query.Opcode != dns.OpcodeQuery {
		return resp.SetRcode(query, dns.RcodeNotImplemented)
	}
	if len(query.Question) != 1 || query.Question[0].Qclass != dns.ClassINET {
		return resp.SetRcode(query, dns.RcodeRefused)
	}
	records, known, ours := s.zone.Load().answer(query.Question[0])
	switch {
	case known:
		resp.Authoritative, resp.Answer = true, records
		return resp
	case ours:
		resp.Authoritative = true
		return resp.SetRcode(query, dns.RcodeNameError)
	}
	return s.forward(ctx, query, resp)
}

func (s *Server) forward(ctx context.Context, query, resp *dns.Msg) *dns.Msg {
	if s.resolver == nil {
		return resp.SetRcode(query, dns.RcodeRefused)
	}
	select {
	case s.busy <- struct{}{}:
		defer func() { <-s.busy }()
	default:
		return resp.SetRcode(query, dns.RcodeServerFailure)
	}
	answer, err := s.resolver.Resolve(ctx, query)
	if err != nil || answer == nil {
		return resp.SetRcode(query, dns.RcodeServerFailure)
	}
	answer.Id = query.Id
	return answer
}
