package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/security/groups"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/security/rules"
)

// script writes the user-data of all guests to a file.
func (g *stage) script() string {
	path := filepath.Join(g.t.TempDir(), "init.sh")
	if err := os.WriteFile(path, []byte(userScript), 0o600); err != nil {
		g.t.Fatal(err)
	}
	return path
}

// neighbours shows that guests of a network reach each other, by IPv4 and by
// the IPv6 address that router advertisements give them.
func (g *stage) neighbours() {
	one := sshTo(g.t, "ember", g.one.float, g.signer)
	if g.one.fixed6 == "" || g.two.fixed6 == "" {
		g.t.Fatalf("no IPv6 address: %+v %+v", g.one, g.two)
	}
	eventually(g.t, "the guest has its IPv6 address "+g.one.fixed6, func() bool {
		return strings.Contains(one.run("ip -6 -o addr show dev eth0 scope global"), " "+g.one.fixed6+"/64 ")
	})
	for _, to := range []string{g.two.fixed4, g.two.fixed6, g.three.fixed4, g.three.fixed6} {
		if !pings(one, "", to) {
			g.t.Errorf("one does not reach %s", to)
		}
	}
}

// pings tells whether one of three pings is answered.
func pings(in *login, options, to string) bool {
	six := ""
	if strings.Contains(to, ":") {
		six = "-6 "
	}
	_, err := in.try(fmt.Sprintf("sudo ping %s-c 3 -W 2 %s %s", six, options, to))
	return err == nil
}

// names shows that a sibling's name resolves, in full and short.
func (g *stage) names() {
	one := sshTo(g.t, "ember", g.one.float, g.signer)
	for _, name := range []string{"two", "two.cloud.internal"} {
		out := one.run("nslookup " + name + " 2>&1 || true")
		if !strings.Contains(out, g.two.fixed4) {
			g.t.Errorf("nslookup %s does not say %s:\n%s", name, g.two.fixed4, out)
		}
	}
	if out := one.run("sudo ping -c 1 -W 3 two >/dev/null 2>&1 && echo ok || echo failed"); out != "ok" {
		g.t.Error("one cannot ping two by its name")
	}
}

// lease takes the lease anew and looks at what it says.
func (g *stage) lease() {
	one := sshTo(g.t, "ember", g.one.float, g.signer)
	one.run(`printf '#!/bin/sh\nenv > /tmp/lease.$1\n' > /tmp/lease.sh && chmod +x /tmp/lease.sh`)
	one.run("sudo udhcpc -i eth0 -n -q -f -t 5 -O 239 -O mtu -O staticroutes -s /tmp/lease.sh >/dev/null 2>&1")
	out := one.run("cat /tmp/lease.bound")
	for _, want := range []string{"ip=" + g.one.fixed4, "mtu=1450", "opt239=", "dns=", "domain=cloud.internal", "staticroutes=", "169.254.169.254/32"} {
		if !strings.Contains(out, want) {
			g.t.Errorf("the lease does not say %q:\n%s", want, out)
		}
	}
	if mtu := one.run("cat /sys/class/net/eth0/mtu"); mtu != "1450" {
		g.t.Errorf("the MTU is %s", mtu)
	}
}

// spoofing has a guest send from addresses that are not its own. What counts is
// what reaches the other guest.
func (g *stage) spoofing() {
	one, two := sshTo(g.t, "ember", g.one.float, g.signer), sshTo(g.t, "ember", g.two.float, g.signer)
	arrives := func(what string, v6, want bool, command string) {
		before := counter(g.t, two, v6)
		out, _ := one.try(command)
		if got := counter(g.t, two, v6) > before; got != want {
			g.t.Errorf("%s: arrived %v, want %v\n%s", what, got, want, out)
		}
	}
	ping := "sudo ping -c 3 -W 1 " + g.two.fixed4
	arrives("its own address", false, true, ping)
	arrives("another IPv4 address", false, false, "sudo ip addr add 10.0.0.99/32 dev eth0; sudo ping -c 3 -W 1 -I 10.0.0.99 "+g.two.fixed4+"; sudo ip addr del 10.0.0.99/32 dev eth0")
	arrives("its own IPv6 address", true, true, "sudo ping -6 -c 3 -W 1 "+g.two.fixed6)
	arrives("another IPv6 address", true, false, "sudo ip -6 addr add fd00:10::bad/64 dev eth0 nodad; sudo ping -6 -c 3 -W 1 -I fd00:10::bad "+g.two.fixed6+"; sudo ip -6 addr del fd00:10::bad/64 dev eth0")
	// The address of the card is changed and given back while the login stands still.
	other := "sudo sh -c 'ip link set eth0 address fa:16:3e:00:be:ef; ping -c 3 -W 1 " + g.two.fixed4 + "; ip link set eth0 address " + g.one.mac + "' >/tmp/mac 2>&1; ip link show eth0; cat /tmp/mac"
	arrives("another MAC address", false, false, other)
	arrives("its own address again", false, true, ping)
}

// tenants puts a guest of another project on a network of its own with the same
// addresses: neither sees the other, and both work.
func (g *stage) tenants() {
	other := g.tenant("other", "member")
	signer, public := keyPair(g.t)
	other.importKey("theirs", public)
	other.group("theirs", true, 22)
	network := other.ownNetwork("theirs", "10.0.0.0/24")
	m := other.launch("e2e.2", wish{name: "stranger", image: g.bare, network: network, key: "theirs", group: "theirs", fixed: "10.0.0.200"})
	other.ready(m)
	other.giveFloating(m)
	stranger := sshTo(g.t, "ember", m.float, signer)
	one := sshTo(g.t, "ember", g.one.float, g.signer)
	before := counter(g.t, stranger, false)
	if pings(one, "", m.fixed4) {
		g.t.Errorf("one reaches %s of another project's network", m.fixed4)
	}
	if pings(stranger, "", g.two.fixed4) {
		g.t.Errorf("the stranger reaches %s of another project's network", g.two.fixed4)
	}
	if got := counter(g.t, stranger, false); got != before {
		g.t.Errorf("%d pings arrived at the stranger", got-before)
	}
	if out := stranger.run("nslookup two.cloud.internal 2>&1 || true"); strings.Contains(out, "Address: "+g.two.fixed4) {
		g.t.Errorf("another project's names resolve:\n%s", out)
	}
	if _, err := try(other, g.one.id); !gone(err) {
		g.t.Errorf("another project sees the server one: %v", err)
	}
	// By the floating IP, which is public, it may.
	if !pings(stranger, "", g.one.float) {
		g.t.Error("the stranger does not reach the floating IP of one")
	}
	other.remove(m)
}

// ports shows that the group decides, with a listener on either port.
func (g *stage) ports() {
	one := sshTo(g.t, "ember", g.one.float, g.signer)
	one.run("sudo httpd -p 23 -h /etc && wget -q -O /dev/null http://127.0.0.1:23/hostname")
	if !open(g.one.float, 22) {
		g.t.Error("port 22 is not open")
	}
	if open(g.one.float, 23) {
		g.t.Error("port 23 is open though no rule lets it in")
	}
	found := must(groups.ExtractGroups(must(groups.List(g.network, groups.ListOpts{Name: "web"}).AllPages(g.ctx))(g.t)))(g.t)
	rule := g.rule(found[0].ID, 23)
	eventually(g.t, "port 23 opens with its rule", func() bool { return open(g.one.float, 23) })
	if err := rules.Delete(g.ctx, g.network, rule).ExtractErr(); err != nil {
		g.t.Fatal(err)
	}
	eventually(g.t, "port 23 closes without its rule", func() bool { return !open(g.one.float, 23) })
}
