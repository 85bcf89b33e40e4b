package dns

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"hearth/internal/cloud"
)

func example() cloud.NetworkSpec {
	return cloud.NetworkSpec{
		DNSDomain: "Cloud.Test",
		Ports: []cloud.PortSpec{{Hostname: "VM1", Addresses: []cloud.FixedIP{
			{IP: netip.MustParseAddr("10.0.0.11")}, {IP: netip.MustParseAddr("2001:db8::11")},
		}}},
		Names: []cloud.NameRecord{{Name: "vm2.cloud.test.", IPs: []netip.Addr{netip.MustParseAddr("10.0.0.12")}}},
	}
}

// world answers everything with one address, or fails.
type world struct{ err error }

func (w world) Resolve(_ context.Context, q *dns.Msg) (*dns.Msg, error) {
	if w.err != nil {
		return nil, w.err
	}
	resp := new(dns.Msg).SetReply(q)
	rr, err := dns.NewRR(q.Question[0].Name + " 60 IN A 192.0.2.1")
	resp.Answer = append(resp.Answer, rr)
	return resp, err
}

func ask(s *Server, name string, kind uint16) (code string, values []string) {
	resp := s.Answer(context.Background(), new(dns.Msg).SetQuestion(name, kind))
	for _, rr := range resp.Answer {
		switch rr := rr.(type) {
		case *dns.A:
			values = append(values, rr.A.String())
		case *dns.AAAA:
			values = append(values, rr.AAAA.String())
		case *dns.PTR:
			values = append(values, rr.Ptr)
		}
	}
	return dns.RcodeToString[resp.Rcode], values
}

func TestAnswer(t *testing.T) {
	up := NewServer(world{}, nil)
	broken := NewServer(world{errors.New("dead")}, nil)
	alone := NewServer(nil, nil)
	for _, s := range []*Server{up, broken, alone} {
		s.Update(NewZone(example()))
	}
	for _, c := range []struct {
		server *Server
		name   string
		kind   uint16
		code   string
		values []string
	}{
		{alone, "vm1.", dns.TypeA, "NOERROR", []string{"10.0.0.11"}},
		{alone, "vM1.cloud.TEST.", dns.TypeA, "NOERROR", []string{"10.0.0.11"}},
		{alone, "vm1.", dns.TypeAAAA, "NOERROR", []string{"2001:db8::11"}},
		{alone, "vm2.", dns.TypeA, "NOERROR", []string{"10.0.0.12"}},
		{alone, "vm2.cloud.test.", dns.TypeAAAA, "NOERROR", nil},
		{alone, "vm3.cloud.test.", dns.TypeA, "NXDOMAIN", nil},
		{alone, "vm3.", dns.TypeA, "NXDOMAIN", nil},
		{alone, "11.0.0.10.in-addr.arpa.", dns.TypePTR, "NOERROR", []string{"vm1.cloud.test."}},
		{alone, "instance-data.", dns.TypeA, "NOERROR", []string{"169.254.169.254"}},
		{alone, "metadata.cloud.test.", dns.TypeAAAA, "NOERROR", []string{"fd00:ec2::254"}},
		{alone, "example.com.", dns.TypeA, "REFUSED", nil},
		{up, "example.com.", dns.TypeA, "NOERROR", []string{"192.0.2.1"}},
		{up, "vm1.", dns.TypeA, "NOERROR", []string{"10.0.0.11"}},
		{broken, "example.com.", dns.TypeA, "SERVFAIL", nil},
	} {
		code, values := ask(c.server, c.name, c.kind)
		if code != c.code || !cmp.Equal(values, c.values) {
			t.Errorf("%s %s: %s %v, want %s %v", c.name, dns.TypeToString[c.kind], code, values, c.code, c.values)
		}
	}
	if resp := alone.Answer(context.Background(), new(dns.Msg)); resp.Rcode != dns.RcodeRefused {
		t.Errorf("no question: %s", dns.RcodeToString[resp.Rcode])
	}
}

func TestServeOverSockets(t *testing.T) {
	s := NewServer(nil, nil)
	s.Update(NewZone(example()))
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 2)
	go func() { done <- s.ServePacket(packets) }()
	go func() { done <- s.ServeStream(stream) }()
	for network, address := range map[string]string{"udp": packets.LocalAddr().String(), "tcp": stream.Addr().String()} {
		resp, _, err := (&dns.Client{Net: network, Timeout: time.Minute}).Exchange(new(dns.Msg).SetQuestion("vm1.", dns.TypeA), address)
		if err != nil || len(resp.Answer) != 1 {
			t.Errorf("%s: %v %v", network, resp, err)
		}
	}
	_, _ = packets.Close(), stream.Close()
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestUpstreamRests(t *testing.T) {
	// A socket that is closed answers at once with an error.
	gone, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := gone.LocalAddr().String()
	_ = gone.Close()
	s := NewServer(nil, nil)
	s.Update(NewZone(example()))
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer packets.Close()
	go func() { _ = s.ServePacket(packets) }()
	clock := cloud.NewFakeClock()
	u := NewUpstream([]string{dead, packets.LocalAddr().String()}, clock)
	answer, err := u.Resolve(context.Background(), new(dns.Msg).SetQuestion("vm1.", dns.TypeA))
	if err != nil || len(answer.Answer) != 1 {
		t.Fatalf("%v %v", answer, err)
	}
	if u.alive(dead) {
		t.Error("the dead resolver would be asked again at once")
	}
	clock.Advance(rest)
	if !u.alive(dead) {
		t.Error("the dead resolver is never asked again")
	}
}

func TestHostServers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(path, []byte("# comment\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := HostServers(path)
	if err != nil || !cmp.Equal(got, []string{"192.0.2.53:53", "[2001:db8::53]:53"}) {
		t.Errorf("%v %v", got, err)
	}
}

func FuzzAnswer(f *testing.F) {
	raw, err := new(dns.Msg).SetQuestion("vm1.cloud.test.", dns.TypeA).Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	s := NewServer(nil, nil)
	s.Update(NewZone(example()))
	f.Fuzz(func(t *testing.T, raw []byte) {
		query := new(dns.Msg)
		if query.Unpack(raw) != nil {
			return
		}
		if resp := s.Answer(context.Background(), query); resp == nil || resp.Id != query.Id {
			t.Fatal("no answer, or to another")
		}
	})
}
