// Package networktest is the suite that every network.Driver passes.
package networktest

import (
	"context"
	"net/netip"
	"slices"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/driver/network"
)

// Run runs the suite; open makes a driver with nothing built, for a node of
// its own. The suite takes its data plane down.
func Run(t *testing.T, open func(*testing.T) network.Driver) {
	for name, test := range map[string]func(*testing.T, network.Driver){
		"networks": networks, "routers": routers, "plug": plug, "listen": listen, "invalid": invalid, "down": down,
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t)
			t.Cleanup(func() {
				ok(t, d.Down(context.Background()))
				ok(t, d.Close())
			})
			if _, err := d.Probe(context.Background()); err != nil {
				t.Fatal(err)
			}
			test(t, d)
		})
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func isKind(t *testing.T, err error, kind cloud.Kind) {
	t.Helper()
	if !cloud.Is(err, kind) {
		t.Errorf("got %v, want an error of kind %q", err, kind)
	}
}

// example is a network with two ports and services.
func example() cloud.NetworkSpec {
	cidr := netip.MustParsePrefix("10.20.0.0/24")
	subnet := cloud.SubnetSpec{ID: cloud.NewID(), CIDR: cidr, Gateway: netip.MustParseAddr("10.20.0.1"), DHCP: true}
	group := cloud.GroupSpec{ID: cloud.NewID(), Rules: []cloud.SecurityRule{{Direction: "ingress", Ethertype: "IPv4", Protocol: "tcp", PortMin: 22, PortMax: 22}}}
	port := func(mac, ip string) cloud.PortSpec {
		fixed := []cloud.FixedIP{{SubnetID: subnet.ID, IP: netip.MustParseAddr(ip)}}
		return cloud.PortSpec{ID: cloud.NewID(), InstanceID: cloud.NewID(), MAC: mac, Addresses: fixed, AdminUp: true, Security: true, Groups: []string{group.ID}}
	}
	return cloud.NetworkSpec{
		ID: cloud.NewID(), Name: "example", Type: cloud.NetworkLocal, MTU: 1450, Generation: 1,
		Subnets: []cloud.SubnetSpec{subnet}, Groups: []cloud.GroupSpec{group},
		Ports: []cloud.PortSpec{port("fa:16:3e:20:00:0b", "10.20.0.11"), port("fa:16:3e:20:00:0c", "10.20.0.12")},
		DHCP:  &cloud.ServicePort{PortID: cloud.NewID(), MAC: "fa:16:3e:20:00:02", Addresses: []netip.Prefix{netip.MustParsePrefix("10.20.0.2/24")}},
	}
}

func routerOn(spec cloud.NetworkSpec) cloud.RouterSpec {
	return cloud.RouterSpec{ID: cloud.NewID(), AdminUp: true, Interfaces: []cloud.RouterPort{{
		PortID: cloud.NewID(), NetworkID: spec.ID, MAC: "fa:16:3e:20:00:01", MTU: 1450, Addresses: []netip.Prefix{netip.MustParsePrefix("10.20.0.1/24")},
	}}}
}

// has checks an inventory by the number of its networks, routers and ports.
func has(t *testing.T, d network.Driver, networks, routers, ports int) network.Inventory {
	t.Helper()
	found, err := d.Inventory(context.Background())
	ok(t, err)
	if len(found.Networks) != networks || len(found.Routers) != routers || len(found.Ports) != ports {
		t.Errorf("inventory %+v, want %d networks, %d routers, %d ports", found, networks, routers, ports)
	}
	return found
}

func networks(t *testing.T, d network.Driver) {
	ctx := context.Background()
	spec := example()
	ok(t, d.ApplyNetwork(ctx, spec))
	ok(t, d.ApplyNetwork(ctx, spec))
	if found := has(t, d, 1, 0, 0); !slices.Contains(found.Networks, spec.ID) {
		t.Errorf("network %s is not in %v", spec.ID, found.Networks)
	}
	facts, err := d.Explain(ctx, "network", spec.ID)
	ok(t, err)
	if len(facts) == 0 {
		t.Error("nothing explained of a network")
	}
	spec.Ports, spec.MTU, spec.DHCP = spec.Ports[:1], 1400, nil
	ok(t, d.ApplyNetwork(ctx, spec))
	ok(t, d.RemoveNetwork(ctx, spec.ID))
	ok(t, d.RemoveNetwork(ctx, spec.ID))
	has(t, d, 0, 0, 0)
	_, err = d.Explain(ctx, "network", spec.ID)
	isKind(t, err, cloud.NotFound)
	ok(t, d.ApplyNetwork(ctx, example()))
	has(t, d, 1, 0, 0)
}

func routers(t *testing.T, d network.Driver) {
	ctx := context.Background()
	spec := example()
	router := routerOn(spec)
	isKind(t, d.ApplyRouter(ctx, router), cloud.NotFound)
	ok(t, d.ApplyNetwork(ctx, spec))
	ok(t, d.ApplyRouter(ctx, router))
	ok(t, d.ApplyRouter(ctx, router))
	has(t, d, 1, 1, 0)
	router.AdminUp = false
	ok(t, d.ApplyRouter(ctx, router))
	router.AdminUp, router.Interfaces = true, nil
	ok(t, d.ApplyRouter(ctx, router))
	ok(t, d.ApplyRouter(ctx, routerOn(spec)))
	has(t, d, 1, 2, 0)
	ok(t, d.RemoveNetwork(ctx, spec.ID))
	facts, err := d.Explain(ctx, "router", router.ID)
	ok(t, err)
	if len(facts) == 0 {
		t.Error("nothing explained of a router")
	}
	ok(t, d.RemoveRouter(ctx, router.ID))
	ok(t, d.RemoveRouter(ctx, router.ID))
	_, err = d.Explain(ctx, "router", router.ID)
	isKind(t, err, cloud.NotFound)
	has(t, d, 0, 1, 0)
}

func plug(t *testing.T, d network.Driver) {
	ctx := context.Background()
	spec := example()
	port := spec.Ports[0].ID
	_, err := d.Plug(ctx, spec.ID, port)
	isKind(t, err, cloud.NotFound)
	ok(t, d.Unplug(ctx, spec.ID, port))
	ok(t, d.ApplyNetwork(ctx, spec))
	_, err = d.Plug(ctx, spec.ID, cloud.NewID())
	isKind(t, err, cloud.NotFound)
	tap, err := d.Plug(ctx, spec.ID, port)
	ok(t, err)
	if found := has(t, d, 1, 0, 1); len(found.Ports) == 1 && found.Ports[0] != port {
		t.Errorf("port %s is plugged, want %s", found.Ports[0], port)
	}
	_, err = d.Plug(ctx, spec.ID, port)
	isKind(t, err, cloud.Conflict)
	ok(t, d.ApplyNetwork(ctx, spec))
	facts, err := d.Explain(ctx, "port", port)
	ok(t, err)
	if len(facts) == 0 {
		t.Error("nothing explained of a port")
	}
	ok(t, tap.Close())
	has(t, d, 1, 0, 0)
	tap, err = d.Plug(ctx, spec.ID, port)
	ok(t, err)
	defer tap.Close()
	ok(t, d.Unplug(ctx, spec.ID, port))
	ok(t, d.Unplug(ctx, spec.ID, port))
	has(t, d, 1, 0, 0)
	again, err := d.Plug(ctx, spec.ID, port)
	ok(t, err)
	ok(t, again.Close())
}

func listen(t *testing.T, d network.Driver) {
	ctx := context.Background()
	spec := example()
	_, err := d.ListenPacket(ctx, "service:"+spec.ID, "udp4", "0.0.0.0:67")
	isKind(t, err, cloud.NotFound)
	_, err = d.Listen(ctx, "cellar:"+spec.ID, "tcp", "0.0.0.0:80")
	isKind(t, err, cloud.Invalid)
	ok(t, d.ApplyNetwork(ctx, spec))
	router := routerOn(spec)
	ok(t, d.ApplyRouter(ctx, router))
	service := "service:" + spec.ID
	packets, err := d.ListenPacket(ctx, service, "udp4", "0.0.0.0:67")
	ok(t, err)
	ok(t, packets.Close())
	for _, address := range []string{"169.254.169.254:80", "[fe80::a9fe:a9fe]:80", "[fd00:ec2::254]:80"} {
		l, err := d.Listen(ctx, service, "tcp", address)
		ok(t, err)
		ok(t, l.Close())
	}
	l, err := d.Listen(ctx, "router:"+router.ID, "tcp", "169.254.169.254:80")
	ok(t, err)
	ok(t, l.Close())
	group, err := d.ListenPacket(ctx, "router:"+router.ID+"/"+router.Interfaces[0].PortID, "ip6:ipv6-icmp", "ff02::2")
	ok(t, err)
	ok(t, group.Close())
	if d.GuestDevice(service) == "" {
		t.Error("no device faces the guests at " + service)
	}
}

func invalid(t *testing.T, d network.Driver) {
	ctx := context.Background()
	for name, spoil := range map[string]func(*cloud.NetworkSpec){
		"id":       func(s *cloud.NetworkSpec) { s.ID = "../../etc" },
		"port id":  func(s *cloud.NetworkSpec) { s.Ports[0].ID = "" },
		"port MAC": func(s *cloud.NetworkSpec) { s.Ports[0].MAC = "ff:ff:ff:ff:ff:ff" },
		"DHCP MAC": func(s *cloud.NetworkSpec) { s.DHCP.MAC = "" },
	} {
		spec := example()
		spoil(&spec)
		if err := d.ApplyNetwork(ctx, spec); !cloud.Is(err, cloud.Invalid) {
			t.Errorf("wrong %s: %v", name, err)
		}
	}
	isKind(t, d.RemoveNetwork(ctx, "x"), cloud.Invalid)
	isKind(t, d.RemoveRouter(ctx, "x"), cloud.Invalid)
	_, err := d.Explain(ctx, "cellar", cloud.NewID())
	isKind(t, err, cloud.Invalid)
	has(t, d, 0, 0, 0)
}

func down(t *testing.T, d network.Driver) {
	ctx := context.Background()
	spec := example()
	ok(t, d.Down(ctx))
	ok(t, d.ApplyNetwork(ctx, spec))
	ok(t, d.ApplyRouter(ctx, routerOn(spec)))
	tap, err := d.Plug(ctx, spec.ID, spec.Ports[0].ID)
	ok(t, err)
	defer tap.Close()
	ok(t, d.Down(ctx))
	has(t, d, 0, 0, 0)
	ok(t, d.ApplyNetwork(ctx, spec))
	has(t, d, 1, 0, 0)
}
