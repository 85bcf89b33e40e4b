package linux

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"hearth/internal/cloud"
)

// wan is an external network with an outside namespace on it.
type wan struct {
	*plan
	outside *guest
}

func (l *lab) wan(cidrs ...string) *wan {
	l.t.Helper()
	p := newPlan(cidrs...)
	p.Type, p.PhysicalNetwork, p.DHCP, p.MTU = cloud.NetworkFlat, "public", nil, 1500
	l.apply(p)
	out := l.namespace()
	if err := l.d.AttachOutside(context.Background(), p.ID, out.Guest, "fa:16:3e:ff:00:01"); err != nil {
		l.t.Fatal(err)
	}
	var own []netip.Prefix
	for _, s := range p.Subnets {
		own = append(own, netip.PrefixFrom(s.Gateway, s.CIDR.Bits()))
	}
	return &wan{p, out.setUp(own)}
}

func newRouter(w *wan, own string, inner ...*plan) cloud.RouterSpec {
	r := cloud.RouterSpec{ID: cloud.NewID(), AdminUp: true, SNAT: true}
	for i, p := range inner {
		port := cloud.RouterPort{PortID: cloud.NewID(), NetworkID: p.ID, MAC: "fa:16:3e:aa:00:0" + string(rune('1'+i)), MTU: p.MTU}
		for _, s := range p.Subnets {
			port.Addresses = append(port.Addresses, netip.PrefixFrom(s.Gateway, s.CIDR.Bits()))
		}
		r.Interfaces = append(r.Interfaces, port)
	}
	if w != nil {
		prefix := netip.MustParsePrefix(own)
		r.Gateway = &cloud.RouterPort{PortID: cloud.NewID(), NetworkID: w.ID, MAC: "fa:16:3e:bb:00:01", MTU: 1500, Addresses: []netip.Prefix{prefix}}
		for _, s := range w.Subnets {
			r.NextHops = append(r.NextHops, s.Gateway)
		}
	}
	return r
}

func (l *lab) applyRouter(r cloud.RouterSpec) {
	l.t.Helper()
	start := time.Now()
	if err := l.d.ApplyRouter(context.Background(), r); err != nil {
		l.t.Fatal(err)
	}
	l.t.Logf("ApplyRouter: %v", time.Since(start).Round(time.Microsecond))
}

func external() map[string]Uplink { return map[string]Uplink{"public": {Kind: UplinkNone}} }

func TestE2ERouter(t *testing.T) {
	l := newLab(t, external())
	w := l.wan("203.0.113.0/24")
	p := newPlan("10.0.0.0/24")
	open := p.group(append(egressAll(), ingress("IPv4", "tcp", 22))...)
	a, b := p.port(11, open), p.port(12, open)
	q := newPlan("10.1.0.0/24")
	openQ := q.group(append(egressAll(), ingress("IPv4", "tcp", 22))...)
	c := q.port(11, openQ)
	l.apply(p)
	l.apply(q)
	ga, gb, gc := l.guest(p, a), l.guest(p, b), l.guest(q, c)
	r := newRouter(w, "203.0.113.9/24", p, q)
	l.applyRouter(r)
	w.outside.serve(":80")
	for _, g := range []*guest{ga, gb, gc} {
		g.serve(":22")
		g.serve(":23")
	}
	ga.mustSee("203.0.113.1:80", "203.0.113.9") // by source NAT
	ga.mustSee(ip(c)+":22", ip(a))              // between subnets as it is
	ga.mustNotReach(ip(c) + ":23")

	float := netip.MustParseAddr("203.0.113.50")
	r.FloatingIPs = []cloud.FloatingSpec{{ID: cloud.NewID(), Floating: float, Fixed: b.Addresses[0].IP}}
	l.applyRouter(r)
	w.outside.mustSee("203.0.113.50:22", "203.0.113.1")
	w.outside.mustNotReach("203.0.113.50:23")
	gb.mustSee("203.0.113.1:80", "203.0.113.50")
	ga.mustSee("203.0.113.50:22", "203.0.113.9")  // hairpin of another
	gb.mustSee("203.0.113.50:22", "203.0.113.50") // hairpin to itself
	gc.mustSee("203.0.113.50:22", "203.0.113.9")

	// The address moves to another guest, then goes.
	r.FloatingIPs[0].Fixed = a.Addresses[0].IP
	l.applyRouter(r)
	w.outside.mustSee("203.0.113.50:22", "203.0.113.1")
	ga.mustSee("203.0.113.1:80", "203.0.113.50")
	r.FloatingIPs = nil
	l.applyRouter(r)
	w.outside.mustNotReach("203.0.113.50:22")

	r.AdminUp = false
	l.applyRouter(r)
	ga.mustNotReach("203.0.113.1:80")
	r.AdminUp = true
	l.applyRouter(r)
	ga.mustSee("203.0.113.1:80", "203.0.113.9")
	r.SNAT = false
	l.applyRouter(r)
	ga.mustNotReach("203.0.113.1:80")

	// Networks may go before their router.
	ctx := context.Background()
	for _, id := range []string{p.ID, w.ID} {
		if err := l.d.RemoveNetwork(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.d.ApplyRouter(ctx, r); !cloud.Is(err, cloud.NotFound) {
		t.Errorf("router on a removed network: %v", err)
	}
	if err := l.d.RemoveRouter(ctx, r.ID); err != nil {
		t.Fatal(err)
	}
}

func TestE2ERouterIPv6AndRoutes(t *testing.T) {
	l := newLab(t, external())
	w := l.wan("203.0.113.0/24", "2001:db8:ffff::/64")
	p, q := newPlan("10.0.0.0/24", "2001:db8:1::/64"), newPlan("10.1.0.0/24")
	open := p.group(append(egressAll(), ingress("IPv6", "tcp", 22))...)
	a := p.port(11, open)
	c := q.port(11, q.group(append(egressAll(), ingress("IPv4", "tcp", 22))...))
	l.apply(p)
	l.apply(q)
	ga, gc := l.guest(p, a), l.guest(q, c)
	r := newRouter(w, "203.0.113.9/24", p)
	r.Gateway.Addresses = append(r.Gateway.Addresses, netip.MustParsePrefix("2001:db8:ffff::9/64"))
	l.applyRouter(r)
	// Outside knows the way in, as an operator's router would.
	w.outside.setUp([]netip.Prefix{netip.MustParsePrefix("203.0.113.1/24"), netip.MustParsePrefix("2001:db8:ffff::1/64")}, netip.MustParseAddr("2001:db8:ffff::9"))
	ga.serve(":22")
	ga.serve(":23")
	w.outside.serve(":80")
	inner := a.Addresses[1].IP.String()
	w.outside.mustSee("["+inner+"]:22", "2001:db8:ffff::1")
	w.outside.mustNotReach("[" + inner + "]:23")
	ga.mustSee("[2001:db8:ffff::1]:80", inner)

	// A second router joins p and q; the first one's extra route leads there.
	second := newRouter(nil, "", p, q)
	second.Interfaces[0].Addresses = []netip.Prefix{netip.MustParsePrefix("10.0.0.254/24")}
	second.Interfaces[0].MAC = "fa:16:3e:aa:00:09"
	second.Routes = []cloud.Route{{Destination: netip.MustParsePrefix("0.0.0.0/0"), NextHop: netip.MustParseAddr("10.0.0.1")}}
	r.Routes = []cloud.Route{{Destination: netip.MustParsePrefix("10.1.0.0/24"), NextHop: netip.MustParseAddr("10.0.0.254")}}
	l.applyRouter(second)
	l.applyRouter(r)
	gc.serve(":22")
	ga.mustSee(ip(c)+":22", ip(a))
	r.Routes = nil
	l.applyRouter(r)
	ga.mustNotReach(ip(c) + ":22")
}

func TestE2EHostUplink(t *testing.T) {
	const name = "hearth-t-pub"
	l := newLab(t, map[string]Uplink{"public": {Kind: UplinkHost, HostIfName: name}})
	w := newPlan("203.0.113.0/24")
	w.Type, w.PhysicalNetwork, w.DHCP = cloud.NetworkFlat, "public", nil
	l.apply(w)
	p := newPlan("10.0.0.0/24")
	b := p.port(12, p.group(append(egressAll(), ingress("IPv4", "tcp", 22))...))
	l.apply(p)
	gb := l.guest(p, b)
	r := newRouter(&wan{plan: w}, "203.0.113.9/24", p)
	r.FloatingIPs = []cloud.FloatingSpec{{ID: cloud.NewID(), Floating: netip.MustParseAddr("203.0.113.50"), Fixed: b.Addresses[0].IP}}
	l.applyRouter(r)
	gb.serve(":22")
	host := &guest{t, &Guest{l.d.host}}
	host.mustSee("203.0.113.50:22", "203.0.113.1")
	l.apply(w) // again, with the cable there
	host.mustSee("203.0.113.50:22", "203.0.113.1")
	if err := l.d.Down(context.Background()); err != nil {
		t.Fatal(err)
	}
	home, err := l.d.hostSpace()
	if err != nil {
		t.Fatal(err)
	}
	defer home.close()
	if link, err := home.link(name); err != nil || link != nil {
		t.Errorf("the host still has %s: %v", name, err)
	}
}

func TestE2ETap(t *testing.T) {
	l := newLab(t, nil)
	ctx := context.Background()
	p := newPlan("10.0.0.0/24")
	a := p.port(11)
	l.apply(p)
	start := time.Now()
	tap, err := l.d.Plug(ctx, p.ID, a.ID)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("Plug: %v", time.Since(start).Round(time.Microsecond))
	again, err := New(l.d.config) // the agent after a restart, the guest still running
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if err := again.ApplyNetwork(ctx, p.NetworkSpec); err != nil {
		t.Fatal(err)
	}
	if _, err := again.Plug(ctx, p.ID, a.ID); !cloud.Is(err, cloud.Conflict) {
		t.Errorf("a held tap was plugged: %v", err)
	}
	found, err := again.Inventory(ctx)
	if err != nil || len(found.Ports) != 1 || found.Ports[0] != a.ID {
		t.Errorf("inventory %+v, %v", found, err)
	}
	_ = tap.Close() // the guest died
	tap, err = again.Plug(ctx, p.ID, a.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer tap.Close()
	if err := again.Down(ctx); err != nil { // with the guest still there
		t.Fatal(err)
	}
}
