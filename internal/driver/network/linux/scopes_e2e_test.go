package linux

import (
	"net/netip"
	"testing"

	"hearth/internal/cloud"
)

func TestE2EAddressScopesAreKeptApart(t *testing.T) {
	l := newLab(t, external())
	w := l.wan("203.0.113.0/24")
	p, q := newPlan("10.0.0.0/24"), newPlan("10.1.0.0/24")
	open := func(p *plan) cloud.PortSpec {
		return p.port(11, p.group(append(egressAll(), ingress("IPv4", "tcp", 22))...))
	}
	a, b := open(p), open(q)
	l.apply(p)
	l.apply(q)
	ga, gb := l.guest(p, a), l.guest(q, b)
	r := newRouter(w, "203.0.113.9/24", p, q)
	l.applyRouter(r)
	w.outside.serve(":80")
	ga.serve(":22")
	gb.serve(":22")
	ga.mustSee(ip(b)+":22", ip(a))

	// Another scope: nothing goes between, but NAT leads out, and in by a floating IP.
	r.Interfaces[1].Scope4 = "blue"
	l.applyRouter(r)
	ga.mustNotReach(ip(b) + ":22")
	gb.mustNotReach(ip(a) + ":22")
	gb.mustSee("203.0.113.1:80", "203.0.113.9")
	r.FloatingIPs = []cloud.FloatingSpec{{ID: cloud.NewID(), Floating: netip.MustParseAddr("203.0.113.50"), Fixed: b.Addresses[0].IP}}
	l.applyRouter(r)
	w.outside.mustSee("203.0.113.50:22", "203.0.113.1")
	ga.mustSee("203.0.113.50:22", "203.0.113.9")
	r.FloatingIPs = nil

	// The scope of the world outside: its addresses go out as they are. The world has
	// no way back to them here, which is how the test sees it.
	r.Gateway.Scope4 = "blue"
	l.applyRouter(r)
	gb.mustNotReach("203.0.113.1:80")
	ga.mustSee("203.0.113.1:80", "203.0.113.9")

	// Without NAT, another scope has no way out either; one scope again is as before.
	r.Gateway.Scope4, r.Interfaces[1].Scope4 = "", ""
	l.applyRouter(r)
	ga.mustSee(ip(b)+":22", ip(a))
	gb.mustSee("203.0.113.1:80", "203.0.113.9")
}
