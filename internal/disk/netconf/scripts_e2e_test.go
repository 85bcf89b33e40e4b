package netconf

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// inNamespaces has a script of testdata/scripts read what was written for a guest, and
// gives what it says: addresses, routes, servers.
func inNamespaces(t *testing.T, script string, network Network, way Way, before, after []string, card ...string) string {
	t.Helper()
	dir := t.TempDir()
	files, over := filepath.Join(dir, "files"), filepath.Join(dir, "over")
	if err := os.Mkdir(over, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, f := range mustWrite(t, clone(guests[way]), network).Files {
		if f.Gone || f.Link != "" || !strings.HasPrefix(f.Path, "/etc/") {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(files+f.Path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(files+f.Path, f.Data, os.FileMode(f.Mode)); err != nil {
			t.Fatal(err)
		}
	}
	args := append([]string{"-n", "-m", "-p", "-f", "--kill-child", "bash", "testdata/scripts/" + script}, before...)
	args = append(append(append(args, files), after...), card...)
	for i, a := range args {
		if a == "OVER" {
			args[i] = over
		}
	}
	out := runIn(t, "", "", "unshare", args...)
	if strings.Contains(out, "FAILED") {
		t.Errorf("it says\n%s", out)
	}
	return out
}

func cardsOf(name string) []string {
	if name == "two" {
		return []string{"eth0", "back"}
	}
	return []string{"eth0"}
}

// TestBusybox holds Alpine's files against the ifup of busybox.
func TestBusybox(t *testing.T) {
	if os.Getenv("HEARTH_E2E") != "1" {
		t.Skip("needs root: set HEARTH_E2E=1")
	}
	for name, network := range cases {
		t.Run(name, func(t *testing.T) {
			out := inNamespaces(t, "busybox.sh", network, Alpine, nil, nil, append([]string{"lo"}, cardsOf(name)...)...)
			need(t, out, map[string][]string{"dhcp4": {"udhcpc"}, "static4": {"192.168.1.100/24", "192.168.1.101/24", "default via 192.168.1.1 dev eth0", "10.0.0.0/8 via 192.168.1.254 dev eth0 metric 50"},
				"static46": {"mtu 1400", "192.0.2.5/24", "2001:db8::5/64", "2001:db8::6/64", "default via 192.0.2.1", "default via 2001:db8::1", "2001:db8:1::/48 via 2001:db8::2"}, "slaac": {"ip link set dev eth0 up"},
				"only6": {"2001:db8::5/64", "default via fe80::1 dev eth0"}, "outside": {"203.0.113.7/32", "default via 198.51.100.1 dev eth0", "2001:db8::7", "default via 2001:db8:ffff::1 dev eth0"},
				"two": {"udhcpc", "203.0.113.7/32", "198.51.100.0/24 via 203.0.113.1 dev back"}}[name]...)
		})
	}
}

// TestScripts holds the files against RedHat's network-scripts and Gentoo's netifrc
// themselves, of which Debian has no package: HEARTH_NETWORK_SCRIPTS names a folder
// with their sources, initscripts (github.com/fedora-sysv/initscripts, of which the
// branch rhel8-branch has the last) and netifrc (github.com/gentoo/netifrc).
func TestScripts(t *testing.T) {
	sources := os.Getenv("HEARTH_NETWORK_SCRIPTS")
	if os.Getenv("HEARTH_E2E") != "1" || sources == "" {
		t.Skip("needs root and the sources of the scripts: set HEARTH_E2E=1 and HEARTH_NETWORK_SCRIPTS")
	}
	openrc := t.TempDir()
	fetch := exec.Command("bash", "-euc", "apt-get -o APT::Sandbox::User=root -qq download openrc libeinfo1 librc1; for d in *.deb; do dpkg -x $d .; done; rm *.deb")
	fetch.Dir = openrc
	if out, err := fetch.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, network := range cases {
		t.Run(name, func(t *testing.T) {
			want := map[string][]string{"static4": {"192.168.1.100/24", "192.168.1.101/24", "default via 192.168.1.1 dev eth0", "10.0.0.0/8 via 192.168.1.254 dev eth0 metric 50", "nameserver 8.8.8.8\nnameserver 4.4.4.4", "search example.org example.net"},
				"static46": {"mtu 1400", "192.0.2.5/24", "2001:db8::5/64", "2001:db8::6/64", "default via 192.0.2.1", "default via 2001:db8::1", "2001:db8:1::/48 via 2001:db8::2", "nameserver 2001:db8::53", "search example.org"},
				"only6":    {"2001:db8::5/64", "default via fe80::1 dev eth0", "nameserver 2001:db8::53\nnameserver 192.0.2.53", "search example.org"},
				"outside":  {"203.0.113.7/32", "default via 198.51.100.1 dev eth0", "2001:db8::7", "default via 2001:db8:ffff::1 dev eth0"},
				"two":      {"203.0.113.7/32", "198.51.100.0/24 via 203.0.113.1 dev back"}}[name]
			t.Run("initscripts", func(t *testing.T) {
				out := inNamespaces(t, "initscripts.sh", network, Ifcfg, []string{filepath.Join(sources, "initscripts")}, []string{"OVER"}, cardsOf(name)...)
				need(t, out, append(want, map[string][]string{"dhcp4": {"dhclient"}, "two": {"dhclient"}, "slaac": {"eth0: <BROADCAST,MULTICAST,UP"}}[name]...)...)
			})
			t.Run("netifrc", func(t *testing.T) {
				out := inNamespaces(t, "netifrc.sh", network, Netifrc, []string{filepath.Join(sources, "netifrc")}, []string{"OVER", openrc}, cardsOf(name)...)
				need(t, out, append(want, map[string][]string{"dhcp4": {"dhcpcd -m"}, "two": {"dhcpcd -m"}, "slaac": {"eth0: <BROADCAST,MULTICAST,UP"}}[name]...)...)
			})
		})
	}
}

// TestWicked has SUSE's wicked bring the cards up, beside a DHCP server and a router's
// advertisements, and netconfig write /etc/resolv.conf. Debian has neither:
// HEARTH_NETWORK_SCRIPTS names a folder with the sources of sysconfig
// (github.com/openSUSE/sysconfig) and an installed wicked
// (github.com/openSUSE/wicked: autoreconf -fi; ./configure --disable-pandoc
// --sysconfdir=/etc --localstatedir=/var LDFLAGS=-Wl,--copy-dt-needed-entries; make
// install DESTDIR=FOLDER/wicked; wants gawk, libtool, libnl-route-3-dev, libdbus-1-dev,
// libgcrypt20-dev, libsystemd-dev).
func TestWicked(t *testing.T) {
	sources := os.Getenv("HEARTH_NETWORK_SCRIPTS")
	if _, err := os.Stat(filepath.Join(sources, "wicked/usr/sbin/wicked")); err != nil || sources == "" || os.Getenv("HEARTH_E2E") != "1" {
		t.Skip("needs root and a wicked made of its sources: set HEARTH_E2E=1 and HEARTH_NETWORK_SCRIPTS")
	}
	for name, network := range cases {
		t.Run(name, func(t *testing.T) {
			out := inNamespaces(t, "wicked.sh", network, SUSE, []string{filepath.Join(sources, "wicked"), filepath.Join(sources, "sysconfig")}, []string{"OVER"}, cardsOf(name)...)
			need(t, out, map[string][]string{"dhcp4": {"inet 10.77.0.", "default via 10.77.0.1 dev eth0 proto dhcp"},
				"static4":  {"192.168.1.100/24", "192.168.1.101/24", "default via 192.168.1.1 dev eth0", "10.0.0.0/8 via 192.168.1.254 dev eth0 metric 50", "nameserver 8.8.8.8\nnameserver 4.4.4.4", "search example.org example.net"},
				"static46": {"mtu 1400", "192.0.2.5/24", "2001:db8::5/64", "2001:db8::6/64", "default via 192.0.2.1", "default via 2001:db8::1", "2001:db8:1::/48 via 2001:db8::2", "nameserver 2001:db8::53", "search example.org", "no address by advertisements"},
				"slaac":    {"inet6 fd77::5054:ff:feaa:bb01/64"},
				"only6":    {"2001:db8::5/64", "default via fe80::1 dev eth0", "nameserver 2001:db8::53\nnameserver 192.0.2.53", "search example.org"},
				"outside":  {"203.0.113.7/32", "default via 198.51.100.1 dev eth0", "2001:db8::7", "default via 2001:db8:ffff::1 dev eth0"},
				"two":      {"inet 10.77.0.", "inet6 fd77::5054:ff:feaa:bb01/64", "DHCPv6 lease", "203.0.113.7/32", "198.51.100.0/24 via 203.0.113.1 dev back"}}[name]...)
		})
	}
}
