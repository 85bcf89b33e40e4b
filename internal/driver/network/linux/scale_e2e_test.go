package linux

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"hearth/internal/cloud"
)

// TestE2EScale applies a network of 200 ports in a group of 20 rules, of which
// one has 1000 members, in one transaction.
func TestE2EScale(t *testing.T) {
	l := newLab(t, nil)
	p := newPlan("10.0.0.0/16")
	rules := egressAll()
	for n := range 18 {
		rules = append(rules, ingress("IPv4", "tcp", 1000+n))
	}
	id := p.group(rules...)
	p.Groups[0].Rules[2].RemoteGroupID = id
	member := netip.MustParseAddr("10.0.4.0")
	for range 1000 {
		p.Groups[0].Members = append(p.Groups[0].Members, member)
		member = member.Next()
	}
	for n := range 200 {
		p.port(byte(n+10), id)
	}
	l.apply(p)
	l.apply(p)
	start := time.Now()
	tap, err := l.d.Plug(context.Background(), p.ID, p.Ports[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	defer tap.Close()
	t.Logf("Plug: %v", time.Since(start).Round(time.Microsecond))
}

// TestE2EInterfaceUplink takes an interface of the host into the switch and
// gives it back. The host is a namespace too.
func TestE2EInterfaceUplink(t *testing.T) {
	l := newLab(t, nil) // for its cleaning and its guests
	home, far := l.namespace(), l.namespace()
	wire(t, home, far)
	var d *Driver
	if err := home.Do(func() (err error) {
		d, err = New(Config{Node: l.d.config.Node, Physical: map[string]Uplink{"public": {Kind: UplinkInterface, HostIfName: "eth0"}}})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	l.d.config.Physical = d.config.Physical
	lab := &lab{t, d}
	p := newPlan("192.0.2.0/24")
	p.Type, p.PhysicalNetwork, p.DHCP = cloud.NetworkFlat, "public", nil
	a := p.port(11, p.group(egressAll()...))
	lab.apply(p)
	lab.apply(p)
	g := lab.guest(p, a)
	far.setUp([]netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")})
	far.serve(":80")
	g.mustSee("192.0.2.1:80", "192.0.2.11")
	if err := d.RemoveNetwork(context.Background(), p.ID); err != nil {
		t.Fatal(err)
	}
	if err := home.Do(func() error { _, err := net.InterfaceByName("eth0"); return err }); err != nil {
		t.Errorf("the host did not get its interface back: %v", err)
	}
}

// wire lays a cable between two namespaces, eth0 to eth0.
func wire(t *testing.T, a, b *guest) {
	t.Helper()
	handle, err := netlink.NewHandleAt(a.ns)
	if err != nil {
		t.Fatal(err)
	}
	defer handle.Close()
	err = handle.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "eth0", PeerNamespace: netlink.NsFd(b.ns)})
	if err != nil {
		t.Fatal(err)
	}
}
