package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/keypairs"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/layer3/floatingips"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/layer3/routers"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/security/groups"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/security/rules"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/subnets"
)

// machine is a server and where to reach it.
type machine struct {
	name, id, port, mac   string
	fixed4, fixed6, float string
}

// wish is what a server is to be. Network is an id; group the name of a security
// group.
type wish struct {
	name, image, network, key, group, script string
	configDrive                              bool
	fixed                                    string // IPv4 address; "" for any
}

// flavor gives the id of a flavor of 256 MB with a root disk of a size.
func (s *session) flavor(gb int) string {
	s.t.Helper()
	return s.sizedFlavor(fmt.Sprintf("e2e.%d", gb), 256, 1, gb)
}

// sizedFlavor gives the id of a flavor, which is its name too; it is made if it
// lacks.
func (s *session) sizedFlavor(name string, mb, cpus, gb int) string {
	s.t.Helper()
	if f, err := flavors.Get(s.ctx, s.compute, name).Extract(); err == nil {
		return f.ID
	}
	return must(flavors.Create(s.ctx, s.compute, flavors.CreateOpts{ID: name, Name: name, RAM: mb, VCPUs: cpus, Disk: &gb}).Extract())(s.t).ID
}

// launch asks for a server.
func (s *session) launch(flavor string, w wish) *machine {
	s.t.Helper()
	nic := servers.Network{UUID: w.network, FixedIP: w.fixed}
	opts := servers.CreateOpts{Name: w.name, ImageRef: w.image, FlavorRef: flavor, UserData: []byte(w.script), Networks: []servers.Network{nic}}
	if w.group != "" {
		opts.SecurityGroups = []string{w.group}
	}
	if w.configDrive {
		opts.ConfigDrive = &w.configDrive
	}
	made := must(servers.Create(s.ctx, s.compute, keypairs.CreateOptsExt{CreateOptsBuilder: opts, KeyName: w.key}, nil).Extract())(s.t)
	return &machine{name: w.name, id: made.ID}
}

// ready waits until a server is ACTIVE and learns its port and addresses.
func (s *session) ready(m *machine) {
	s.t.Helper()
	s.await(m, "ACTIVE")
	all := must(ports.ExtractPorts(must(ports.List(s.network, ports.ListOpts{DeviceID: m.id}).AllPages(s.ctx))(s.t)))(s.t)
	if len(all) != 1 {
		s.t.Fatalf("%s has %d ports", m.name, len(all))
	}
	m.port, m.mac = all[0].ID, all[0].MACAddress
	for _, ip := range all[0].FixedIPs {
		if netip.MustParseAddr(ip.IPAddress).Is4() {
			m.fixed4 = ip.IPAddress
		} else {
			m.fixed6 = ip.IPAddress
		}
	}
}

// await waits for a server's status. One in ERROR ends the test with its fault.
func (s *session) await(m *machine, want string) {
	s.t.Helper()
	eventually(s.t, m.name+" is "+want, func() bool {
		now := must(servers.Get(s.ctx, s.compute, m.id).Extract())(s.t)
		if now.Status == "ERROR" && want != "ERROR" {
			s.t.Fatalf("%s is in ERROR: %s", m.name, now.Fault.Message)
		}
		return now.Status == want
	})
}

func (s *session) status(m *machine) string {
	s.t.Helper()
	return must(servers.Get(s.ctx, s.compute, m.id).Extract())(s.t).Status
}

// giveFloating gives a server a floating IP of the network public.
func (s *session) giveFloating(m *machine) {
	s.t.Helper()
	public := s.networkNamed("public")
	f := must(floatingips.Create(s.ctx, s.network, floatingips.CreateOpts{FloatingNetworkID: public, PortID: m.port}).Extract())(s.t)
	m.float = f.FloatingIP
}

// remove deletes servers and waits until they are gone.
func (s *session) remove(all ...*machine) {
	s.t.Helper()
	for _, m := range all {
		if err := servers.Delete(s.ctx, s.compute, m.id).ExtractErr(); err != nil && !gone(err) {
			s.t.Fatal(err)
		}
	}
	for _, m := range all {
		eventually(s.t, m.name+" is gone", func() bool {
			_, err := servers.Get(s.ctx, s.compute, m.id).Extract()
			if err != nil && !gone(err) {
				s.t.Fatal(err)
			}
			return err != nil
		})
	}
}

// importKey registers the public half of a key.
func (s *session) importKey(name, file string) {
	s.t.Helper()
	body := must(os.ReadFile(file))(s.t)
	must(keypairs.Create(s.ctx, s.compute, keypairs.CreateOpts{Name: name, PublicKey: strings.TrimSpace(string(body))}).Extract())(s.t)
}

// group makes a security group that lets TCP ports in, and pings if asked to.
func (s *session) group(name string, ping bool, tcp ...int) string {
	s.t.Helper()
	g := must(groups.Create(s.ctx, s.network, groups.CreateOpts{Name: name}).Extract())(s.t)
	for _, port := range tcp {
		s.rule(g.ID, port)
	}
	for _, family := range []rules.RuleEtherType{rules.EtherType4, rules.EtherType6} {
		protocol := map[rules.RuleEtherType]rules.RuleProtocol{rules.EtherType4: rules.ProtocolICMP, rules.EtherType6: rules.ProtocolIPv6ICMP}[family]
		if ping {
			must(rules.Create(s.ctx, s.network, rules.CreateOpts{Direction: rules.DirIngress, EtherType: family, Protocol: protocol, SecGroupID: g.ID}).Extract())(s.t)
		}
	}
	return g.ID
}

// rule lets a TCP port in.
func (s *session) rule(group string, port int) string {
	s.t.Helper()
	return must(rules.Create(s.ctx, s.network, rules.CreateOpts{Direction: rules.DirIngress, EtherType: rules.EtherType4, Protocol: rules.ProtocolTCP,
		PortRangeMin: port, PortRangeMax: port, SecGroupID: group}).Extract())(s.t).ID
}

// ownNetwork makes a network with a subnet and a router to the network public.
func (s *session) ownNetwork(name, cidr string) string {
	s.t.Helper()
	n := must(networks.Create(s.ctx, s.network, networks.CreateOpts{Name: name}).Extract())(s.t)
	sub := must(subnets.Create(s.ctx, s.network, subnets.CreateOpts{NetworkID: n.ID, CIDR: cidr, IPVersion: gophercloud.IPv4, Name: name}).Extract())(s.t)
	public := s.networkNamed("public")
	r := must(routers.Create(s.ctx, s.network, routers.CreateOpts{Name: name, GatewayInfo: &routers.GatewayInfo{NetworkID: public}}).Extract())(s.t)
	must(routers.AddInterface(s.ctx, s.network, r.ID, routers.AddInterfaceOpts{SubnetID: sub.ID}).Extract())(s.t)
	return n.ID
}

func (s *session) networkNamed(name string) string {
	s.t.Helper()
	found := must(networks.ExtractNetworks(must(networks.List(s.network, networks.ListOpts{Name: name}).AllPages(s.ctx))(s.t)))(s.t)
	if len(found) != 1 {
		s.t.Fatalf("%d networks are called %s", len(found), name)
	}
	return found[0].ID
}
