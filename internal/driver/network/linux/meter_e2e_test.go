package linux

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"hearth/internal/cloud"
)

// counts reads what a router counted under a label; -1 when it has no such label.
func (l *lab) counts(router, label string) (packets, bytes int) {
	l.t.Helper()
	facts, err := l.d.Explain(l.t.Context(), "router", router)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, f := range facts {
		if f.Topic == "metering" && strings.Contains(f.Value, label) {
			if _, err := fmt.Sscanf(f.Value, "label "+label+": %d packets, %d bytes", &packets, &bytes); err != nil {
				l.t.Fatal(err)
			}
			return packets, bytes
		}
	}
	return -1, -1
}

func TestE2EMetering(t *testing.T) {
	l := newLab(t, external())
	w := l.wan("203.0.113.0/24")
	p := newPlan("10.0.0.0/24")
	open := p.group(append(egressAll(), ingress("IPv4", "tcp", 22))...)
	a, b := p.port(11, open), p.port(12, open)
	l.apply(p)
	ga, gb := l.guest(p, a), l.guest(p, b)
	prefix := netip.MustParsePrefix
	meter := func(rules ...cloud.MeteringRule) cloud.MeterSpec {
		return cloud.MeterSpec{ID: cloud.NewID(), Rules: rules}
	}
	out := meter(cloud.MeteringRule{Direction: cloud.Egress, Remote: prefix("10.0.0.0/24")})
	in := meter(cloud.MeteringRule{Direction: cloud.Ingress, Destination: prefix("10.0.0.0/24"), Source: prefix("203.0.113.0/24")})
	notB := meter(cloud.MeteringRule{Direction: cloud.Egress, Source: prefix("10.0.0.0/24")}, cloud.MeteringRule{Direction: cloud.Egress, Source: prefix("10.0.0.12/32"), Excluded: true})
	r := newRouter(w, "203.0.113.9/24", p)
	r.Meters = []cloud.MeterSpec{out, in, notB}
	l.applyRouter(r)
	w.outside.serve(":80")

	gb.mustSee("203.0.113.1:80", "203.0.113.9")
	outB, _ := l.counts(r.ID, out.ID)
	inB, _ := l.counts(r.ID, in.ID)
	if n, _ := l.counts(r.ID, notB.ID); outB < 3 || inB < 3 || n != 0 {
		t.Errorf("after b: %d out, %d in, %d but b", outB, inB, n)
	}
	const sent = 1 << 20
	w.outside.swallow(":81")
	conn := ga.dial("203.0.113.1:81", soon)
	if conn == nil {
		t.Fatal("a does not reach the outside")
	}
	if _, err := conn.Write(make([]byte, sent)); err != nil {
		t.Fatal(err)
	}
	_ = conn.(*net.TCPConn).CloseWrite()
	_, _ = io.ReadAll(conn) // it answers when it has all of it
	_ = conn.Close()
	if _, bytes := l.counts(r.ID, notB.ID); bytes < sent || bytes > sent*5/4 {
		t.Errorf("a sent %d bytes, %d were counted", sent, bytes)
	}

	// Counts go on when rules and labels change, and end with their label.
	before, _ := l.counts(r.ID, out.ID)
	out.Rules = append(out.Rules, cloud.MeteringRule{Direction: cloud.Egress, Remote: prefix("10.9.0.0/24")})
	r.Meters = []cloud.MeterSpec{out}
	l.applyRouter(r)
	if n, _ := l.counts(r.ID, out.ID); n < before {
		t.Errorf("%d packets became %d by a change of the rules", before, n)
	}
	if n, _ := l.counts(r.ID, in.ID); n != -1 {
		t.Errorf("a label that is gone counts %d", n)
	}
	gb.mustSee("203.0.113.1:80", "203.0.113.9")
	if n, _ := l.counts(r.ID, out.ID); n <= before {
		t.Errorf("%d packets before, %d after: nothing is counted any more", before, n)
	}
	r.Meters = nil
	l.applyRouter(r)
	if n, _ := l.counts(r.ID, out.ID); n != -1 {
		t.Errorf("without labels %d are counted", n)
	}
}

// swallow takes all that is sent and then closes.
func (g *guest) swallow(address string) {
	g.t.Helper()
	g.accept(address, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
}

// TestE2EFloatingIPOfTheRouterItself maps one to the router's own interface.
func TestE2EFloatingIPOfTheRouterItself(t *testing.T) {
	l := newLab(t, external())
	w := l.wan("203.0.113.0/24")
	p := newPlan("10.0.0.0/24")
	l.apply(p)
	r := newRouter(w, "203.0.113.9/24", p)
	r.FloatingIPs = []cloud.FloatingSpec{{ID: cloud.NewID(), Floating: netip.MustParseAddr("203.0.113.50"), Fixed: p.Subnets[0].Gateway}}
	l.applyRouter(r)
	server, err := l.d.Listen(t.Context(), "router:"+r.ID, "tcp4", "10.0.0.1:8080")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() {
		if c, err := server.Accept(); err == nil {
			_, _ = c.Write([]byte("the router"))
			_ = c.Close()
		}
	}()
	w.outside.mustSee("203.0.113.50:8080", "the router")
}
