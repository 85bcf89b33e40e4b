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

// TestE2ERangesAreForwarded: a range as the head unrolls it, port by port and all to one.
func TestE2ERangesAreForwarded(t *testing.T) {
	l := newLab(t, external())
	w := l.wan("203.0.113.0/24")
	p := newPlan("10.0.0.0/24")
	a := p.port(11, p.group(append(egressAll(), ingress("IPv4", "tcp", 22), ingress("IPv4", "tcp", 23), ingress("IPv4", "tcp", 80))...))
	l.apply(p)
	ga := l.guest(p, a)
	r := newRouter(w, "203.0.113.9/24", p)
	float := netip.MustParseAddr("203.0.113.50")
	for _, f := range []cloud.PortForwarding{
		{ID: cloud.NewID(), External: 2022, ExternalEnd: 2024, InnerPort: 22, InnerEnd: 24}, {ID: cloud.NewID(), External: 8000, ExternalEnd: 8999, InnerPort: 80},
	} {
		for _, ports := range f.Ports() {
			r.Forwards = append(r.Forwards, cloud.ForwardSpec{ID: f.ID, Floating: float, Fixed: a.Addresses[0].IP, Protocol: "tcp", External: ports[0], InnerPort: ports[1]})
		}
	}
	l.applyRouter(r)
	ga.serve(":22")
	w.outside.mustSee("203.0.113.50:2022", "203.0.113.1")
	w.outside.mustNotReach("203.0.113.50:2023")
	ga.serve(":23")
	w.outside.mustSee("203.0.113.50:2023", "203.0.113.1")
	ga.serve(":80")
	for _, port := range []string{"8000", "8500", "8999"} {
		w.outside.mustSee("203.0.113.50:"+port, "203.0.113.1")
	}
	w.outside.mustNotReach("203.0.113.50:9000")
}
