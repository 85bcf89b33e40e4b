package dhcp

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"golang.org/x/time/rate"

	"hearth/internal/cloud"
)

// Server answers the guests of one network. Update gives it another table
// while it serves.
type Server struct {
	table atomic.Pointer[Table]
	mac   atomic.Value // net.HardwareAddr of the service port
	clock cloud.Clock
	log   *slog.Logger

	mu     sync.Mutex
	limits map[string]*rate.Limiter // by known hardware address
}

// NewServer makes a server with nothing to give. Log may be nil.
func NewServer(clock cloud.Clock, log *slog.Logger) *Server {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Server{clock: clock, log: log, limits: map[string]*rate.Limiter{}}
	s.Update(&Table{}, nil)
	return s
}

// Update gives the server what to answer from now on, and the hardware address
// of the service port, which is its identity in DHCPv6.
func (s *Server) Update(table *Table, mac net.HardwareAddr) {
	s.table.Store(table)
	s.mac.Store(append(net.HardwareAddr{}, mac...))
	s.mu.Lock()
	defer s.mu.Unlock()
	for known := range s.limits {
		_, four := table.four[known]
		if _, six := table.six[known]; !four && !six {
			delete(s.limits, known)
		}
	}
}

// A guest may ask this often: ten times a second, with bursts of twenty.
const (
	perSecond = 10
	burst     = 20
)

// within keeps one guest from taking all the time. Only guests that are known
// get here, so the map is no bigger than the table.
func (s *Server) within(mac string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.limits[mac]
	if l == nil {
		l = rate.NewLimiter(perSecond, burst)
		s.limits[mac] = l
	}
	return l.AllowN(s.clock.Now(), 1)
}

// maxPacket is the largest packet that is read (bytes); none is larger on the
// networks that guests have, apart from jumbo frames, which DHCP does not use.
const maxPacket = 4096

// Serve4 answers DHCPv4 on a socket until it is closed.
func (s *Server) Serve4(conn net.PacketConn) error {
	return serve(conn, func(raw []byte, _ netip.Addr) ([]byte, net.Addr) {
		answer, to := s.Answer4(raw)
		if to == nil {
			return nil, nil
		}
		return answer, to
	}, s.log)
}

// Serve6 answers DHCPv6 on a socket until it is closed.
func (s *Server) Serve6(conn net.PacketConn) error {
	return serve(conn, func(raw []byte, from netip.Addr) ([]byte, net.Addr) { return s.Answer6(raw, from), nil }, s.log)
}

// serve reads packets and sends what answer makes of them, to where it says or
// back.
func serve(conn net.PacketConn, answer func([]byte, netip.Addr) ([]byte, net.Addr), log *slog.Logger) error {
	buf := make([]byte, maxPacket)
	for {
		n, from, err := conn.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		udp, ok := from.(*net.UDPAddr)
		if !ok {
			continue
		}
		raw, to := answer(buf[:n], udp.AddrPort().Addr().Unmap().WithZone(""))
		if raw == nil {
			continue
		}
		if to == nil {
			to = from
		}
		if _, err := conn.WriteTo(raw, to); err != nil && !errors.Is(err, net.ErrClosed) {
			log.Warn("DHCP answer could not be sent", "to", to.String(), "error", err)
		}
	}
}

// Answer4 is the answer to a DHCPv4 packet and where to send it; nil for none.
func (s *Server) Answer4(raw []byte) ([]byte, *net.UDPAddr) {
	req, err := dhcpv4.FromBytes(raw)
	if err != nil {
		return nil, nil
	}
	table := s.table.Load()
	mac := req.ClientHWAddr.String()
	if _, known := table.four[mac]; !known || !s.within(mac) {
		return nil, nil
	}
	resp, to := table.answer4(req)
	if resp == nil {
		return nil, nil
	}
	s.log.Debug("DHCP", "mac", mac, "asked", req.MessageType().String(), "answered", resp.MessageType().String(), "address", resp.YourIPAddr.String())
	return resp.ToBytes(), to
}

// Answer6 is the answer to a DHCPv6 packet from an address; nil for none.
// Relays are not spoken to: there are none between a guest and its node.
func (s *Server) Answer6(raw []byte, from netip.Addr) []byte {
	msg, err := dhcpv6.MessageFromBytes(raw)
	if err != nil {
		return nil
	}
	table := s.table.Load()
	mac, known := table.hardwareOf(from, msg)
	if !known || !s.within(mac) {
		return nil
	}
	server, _ := s.mac.Load().(net.HardwareAddr)
	resp := table.answer6(server, from, msg)
	if resp == nil {
		return nil
	}
	s.log.Debug("DHCPv6", "mac", mac, "asked", msg.MessageType.String(), "answered", resp.MessageType.String())
	return resp.ToBytes()
}
