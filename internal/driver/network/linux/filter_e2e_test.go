package linux

import (
	"context"
	"net/netip"
	"testing"

	"hearth/internal/cloud"
)

func TestE2EStatefulFilter(t *testing.T) {
	l := newLab(t, nil)
	p := newPlan("10.0.0.0/24")
	web := p.group(append(egressAll(), ingress("IPv4", "tcp", 22))...)
	a, b := p.port(11, web), p.port(12, web)
	l.apply(p)
	ga, gb := l.guest(p, a), l.guest(p, b)
	gb.serve(":22")
	gb.serve(":23")
	ga.mustSee(ip(b)+":22", ip(a))
	ga.mustNotReach(ip(b) + ":23")
	// A change that keeps a rule keeps its connections; one that takes it cuts them.
	conn := ga.dial(ip(b)+":22", soon)
	if conn == nil {
		t.Fatal("no connection")
	}
	defer conn.Close()
	facts, err := l.d.Explain(context.Background(), "port", b.ID)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(facts)
	l.apply(p)
	ga.mustSee(ip(b)+":22", ip(a))
	p.Groups[0].Rules = egressAll()
	l.apply(p)
	ga.mustNotReach(ip(b) + ":22")
}

func TestE2ESpoofing(t *testing.T) {
	l := newLab(t, nil)
	p := newPlan("10.0.0.0/24")
	open := p.group(append(egressAll(), ingress("IPv4", "tcp", -1))...)
	a, b := p.port(11, open), p.port(12, open)
	l.apply(p)
	ga, gb := l.guest(p, a), l.guest(p, b)
	gb.serve(":22")
	ga.mustSee(ip(b)+":22", ip(a))
	ga.setUp([]netip.Prefix{netip.MustParsePrefix("10.0.0.99/24")})
	ga.mustNotReach(ip(b) + ":22")
	p.Ports[0].AllowedPairs = []cloud.AddressPair{{IP: netip.MustParsePrefix("10.0.0.96/29")}}
	l.apply(p)
	ga.mustSee(ip(b)+":22", "10.0.0.99")
	p.Ports[0].AllowedPairs, p.Ports[0].Security = nil, false
	ga.setUp([]netip.Prefix{netip.MustParsePrefix("10.0.0.120/24")})
	l.apply(p)
	ga.mustSee(ip(b)+":22", "10.0.0.120")
	p.Ports[0].AdminUp = false
	l.apply(p)
	ga.mustNotReach(ip(b) + ":22")
}

func TestE2EEqualAddresses(t *testing.T) {
	l := newLab(t, nil)
	var guests []*guest
	for range 2 {
		p := newPlan("10.0.0.0/24")
		open := p.group(append(egressAll(), ingress("IPv4", "tcp", -1))...)
		a, b := p.port(11, open), p.port(12, open)
		l.apply(p)
		ga, gb := l.guest(p, a), l.guest(p, b)
		guests = append(guests, ga, gb)
	}
	guests[1].serve(":1001")
	guests[3].serve(":1002")
	guests[0].mustSee("10.0.0.12:1001", "10.0.0.11")
	guests[2].mustSee("10.0.0.12:1002", "10.0.0.11")
	// The other network's server is not there: refused, not reached.
	guests[0].mustNotReach("10.0.0.12:1002")
	guests[2].mustNotReach("10.0.0.12:1001")
}

func TestE2ERemoteGroup(t *testing.T) {
	l := newLab(t, nil)
	p := newPlan("10.0.0.0/24", "fd00:1::/64")
	clients := p.group(egressAll()...)
	db4, db6 := ingress("IPv4", "6", 5432), ingress("IPv6", "tcp", 5432)
	db4.RemoteGroupID, db6.RemoteGroupID = clients, clients
	db := p.group(append(egressAll(), db4, db6)...)
	a, b, c := p.port(11, clients), p.port(12, db), p.port(13, db)
	p.Groups[0].Members = []netip.Addr{a.Addresses[0].IP, a.Addresses[1].IP}
	l.apply(p)
	ga, gb, gc := l.guest(p, a), l.guest(p, b), l.guest(p, c)
	gb.serve(":5432")
	ga.mustSee(ip(b)+":5432", ip(a))
	ga.mustSee("["+b.Addresses[1].IP.String()+"]:5432", a.Addresses[1].IP.String())
	gc.mustNotReach(ip(b) + ":5432")
	gc.mustNotReach("[" + b.Addresses[1].IP.String() + "]:5432")
}
