package linux

import (
	"net/netip"
	"testing"

	"hearth/internal/cloud"
)

func TestE2EPortsAreForwarded(t *testing.T) {
	l := newLab(t, external())
	w := l.wan("203.0.113.0/24")
	p := newPlan("10.0.0.0/24")
	open := p.group(append(egressAll(), ingress("IPv4", "tcp", 22))...)
	a, b := p.port(11, open), p.port(12, open)
	l.apply(p)
	ga, gb := l.guest(p, a), l.guest(p, b)
	r := newRouter(w, "203.0.113.9/24", p)
	float := netip.MustParseAddr("203.0.113.50")
	r.Forwards = []cloud.ForwardSpec{
		{ID: cloud.NewID(), Floating: float, Fixed: a.Addresses[0].IP, Protocol: "tcp", External: 2201, InnerPort: 22},
		{ID: cloud.NewID(), Floating: float, Fixed: b.Addresses[0].IP, Protocol: "tcp", External: 2202, InnerPort: 22},
	}
	l.applyRouter(r)
	w.outside.serve(":80")
	ga.serve(":22")
	w.outside.mustSee("203.0.113.50:2201", "203.0.113.1")
	w.outside.mustNotReach("203.0.113.50:2202") // nobody serves there yet
	gb.serve(":22")
	w.outside.mustSee("203.0.113.50:2202", "203.0.113.1")
	w.outside.mustNotReach("203.0.113.50:22")
	gb.mustSee("203.0.113.50:2201", "203.0.113.9") // hairpin
	ga.mustSee("203.0.113.1:80", "203.0.113.9")    // the way out is the router's

	r.Forwards = r.Forwards[1:]
	l.applyRouter(r)
	w.outside.mustNotReach("203.0.113.50:2201")
	w.outside.mustSee("203.0.113.50:2202", "203.0.113.1")
	r.Forwards = nil
	l.applyRouter(r)
	w.outside.mustNotReach("203.0.113.50:2202")

	r.Forwards = []cloud.ForwardSpec{{ID: cloud.NewID(), Floating: float, Fixed: float, Protocol: "icmp", External: 1, InnerPort: 1}}
	if err := l.d.ApplyRouter(t.Context(), r); !cloud.Is(err, cloud.Invalid) {
		t.Errorf("ICMP was forwarded: %v", err)
	}
}
