package e2e

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/layer3/routers"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/subnets"
)

// The sources that a guest has for its metadata besides the service at
// 169.254.169.254, which all other tests use.

var crawlTook = regexp.MustCompile(`Crawl of metadata service took ([0-9.]+) seconds`)

// checkCrawl holds the time in which cloud-init read all its metadata, some forty
// files each by a connection of its own, against its goal. Where the processor is
// emulated that is the time of the guest's Python, ten to thirty times as long.
func checkCrawl(t *testing.T, in *login, log string) {
	t.Helper()
	took := crawlTook.FindStringSubmatch(log)
	if took == nil {
		t.Fatalf("cloud-init's log tells of no crawl:\n%s", linesWith(log, "metadata"))
	}
	seconds, goal := must(strconv.ParseFloat(took[1], 64))(t), 1.0
	if virt, _ := in.try("systemd-detect-virt"); virt == "qemu" { // "kvm" otherwise
		goal = 30
	}
	t.Logf("cloud-init read its metadata in %.3f s; one file takes %s s", seconds, in.run("curl -s -o /dev/null -w '%{time_total}' http://169.254.169.254/latest/meta-data/instance-id || echo ?"))
	if seconds >= goal {
		t.Errorf("cloud-init took %.3f s for its metadata, want < %g s", seconds, goal)
	}
}

// sixOnly makes a network that has no IPv4. One with a router gives its guests a
// default route, by which EC2's address is reached; the link-local one needs none.
func (s *session) sixOnly(name, cidr string, routed bool) string {
	s.t.Helper()
	n := must(networks.Create(s.ctx, s.network, networks.CreateOpts{Name: name}).Extract())(s.t)
	sub := must(subnets.Create(s.ctx, s.network, subnets.CreateOpts{NetworkID: n.ID, CIDR: cidr, IPVersion: gophercloud.IPv6, Name: name, IPv6AddressMode: "slaac", IPv6RAMode: "slaac"}).Extract())(s.t)
	if routed {
		r := must(routers.Create(s.ctx, s.network, routers.CreateOpts{Name: name}).Extract())(s.t)
		must(routers.AddInterface(s.ctx, s.network, r.ID, routers.AddInterfaceOpts{SubnetID: sub.ID}).Extract())(s.t)
	}
	return n.ID
}

// driven starts Debian with a config drive and no network.
func (s *session) driven(c *theCloud, image string) *machine {
	s.t.Helper()
	c.client("openstack", "--os-compute-api-version", "2.37", "server", "create", "--image", image, "--flavor", s.sizedFlavor("debian", 1024, 2, 8),
		"--config-drive", "true", "--nic", "none", "--wait", "driven")
	return &machine{name: "driven", id: c.field("id", "server", "show", "driven")}
}

// checkSeed has cloud-init's own code read the seed of NoCloud, from the words that
// the serial number of a machine has whose image asks for it (see agent/instance).
func checkSeed(t *testing.T, in *login, m *machine) {
	t.Helper()
	const read = `python3 -c "
from cloudinit import util
from cloudinit.sources import DataSourceNoCloud as n
seed = {}
assert n.load_cmdline_data(seed, 'ds=nocloud-net;s=http://169.254.169.254/nocloud/')
meta, user, vendor = util.read_seeded(seed['seedfrom'], timeout=10)
print(seed['dsmode'], meta['instance-id'], meta['local-hostname'], sorted(meta['public-keys']), user.decode().split()[0])
"`
	if got, want := in.run(read), "net "+m.id+" "+m.name+" ['me'] #!/bin/sh"; got != want {
		t.Errorf("cloud-init reads the seed %q, want %q", got, want)
	}
}

// sixOnly boots ember where there is no IPv4 at all: its metadata comes from the
// node's link-local address, which needs neither a lease nor a router.
func (g *stage) sixOnly() {
	m := g.launch(g.flavor(2), wish{name: "six", image: g.bare, network: g.session.sixOnly("six", "fd00:6::/64", false), key: "me",
		script: "#!/bin/sh\nwget -q -O - 'http://[fe80::a9fe:a9fe%eth0]/latest/meta-data/instance-id' && echo =by-ec2\necho user-data-was-here\n"})
	g.ready(m)
	if m.fixed4 != "" || m.fixed6 == "" {
		g.t.Errorf("its addresses are %q and %q", m.fixed4, m.fixed6)
	}
	log := g.awaitConsole(m.id, "metadata of "+m.id+" from http://[fe80::a9fe:a9fe%25eth0]", "user-data-was-here", "six login:")
	if !strings.Contains(log, "i-"+m.id[:8]+"=by-ec2") {
		g.t.Errorf("EC2's metadata is not there by IPv6:\n%s", log)
	}
	g.remove(m)
}
