package netconf

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// debs are the programs of Debian that read such files themselves, and what they
// need. They are unpacked beside this machine, not installed: a second ifupdown or
// NetworkManager would change it.
var debs = []string{"netplan.io", "libnetplan0", "ifupdown", "network-manager", "libnm0", "libglib2.0-0", "libreadline8", "libndp0", "libteamdctl0", "libjansson4", "libcurl3-gnutls", "libpsl5",
	"libpolkit-agent-1-0", "libpolkit-gobject-1-0", "libmm-glib0", "libbluetooth3", "libnl-3-200"}

// TestReal holds the files against the programs that they are for: netplan's
// generator, ifup, nmcli's reader of keyfiles, and a systemd-networkd in a network
// of its own. TestBusybox, TestScripts and TestWicked have four more.
func TestReal(t *testing.T) {
	if os.Getenv("HEARTH_E2E") != "1" {
		t.Skip("fetches Debian's programs and needs root: set HEARTH_E2E=1")
	}
	root := t.TempDir()
	fetch := exec.Command("apt-get", append([]string{"-o", "APT::Sandbox::User=root", "download"}, debs...)...)
	fetch.Dir = root
	if out, err := fetch.CombinedOutput(); err != nil {
		t.Fatalf("apt-get: %v: %s", err, out)
	}
	files, _ := filepath.Glob(root + "/*.deb")
	for _, deb := range files {
		if out, err := exec.Command("dpkg", "-x", deb, root).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", deb, err, out)
		}
	}
	for name, network := range cases {
		t.Run(name, func(t *testing.T) {
			for way, read := range map[Way]func(*testing.T, string, string, string){Netplan: realNetplan, Ifupdown: realIfup, NetworkManager: realNM, Networkd: realNetworkd} {
				t.Run(string(way), func(t *testing.T) {
					dir := t.TempDir()
					for _, f := range mustWrite(t, clone(guests[way]), network).Files {
						if f.Gone || f.Link != "" {
							continue
						}
						if err := os.MkdirAll(filepath.Dir(dir+f.Path), 0o755); err != nil {
							t.Fatal(err)
						}
						if err := os.WriteFile(dir+f.Path, f.Data, os.FileMode(f.Mode)); err != nil {
							t.Fatal(err)
						}
					}
					read(t, root, dir, name)
				})
			}
		})
	}
}

func runIn(t *testing.T, root, stdin, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+root+"/usr/lib/x86_64-linux-gnu:"+root+"/lib/x86_64-linux-gnu", "LC_ALL=C")
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v: %s", name, err, out)
	}
	return string(out)
}

func need(t *testing.T, got string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("%q lacks in\n%s", w, got)
		}
	}
}

func realNetplan(t *testing.T, root, dir, name string) {
	if out := runIn(t, root, "", root+"/usr/libexec/netplan/generate", "--root-dir", dir); out != "" {
		t.Errorf("netplan says %s", out)
	}
	var made string
	found, _ := filepath.Glob(dir + "/run/systemd/network/*.network")
	for _, f := range found {
		b, _ := os.ReadFile(f)
		made += string(b)
	}
	need(t, made, map[string][]string{"dhcp4": {"DHCP=ipv4", "Name=e*"}, "static4": {"Name=eth0", "Address=192.168.1.101/24", "Gateway=192.168.1.1\n", "Metric=50", "DNS=4.4.4.4", "Domains=example.org example.net"},
		"static46": {"MACAddress=52:54:00:aa:bb:01", "MTUBytes=1400", "Address=2001:db8::6/64", "Gateway=2001:db8::1\n", "Destination=2001:db8:1::/48", "IPv6AcceptRA=no"}, "slaac": {"IPv6AcceptRA=yes"},
		"only6": {"Address=2001:db8::5/64", "Gateway=fe80::1\n", "DNS=2001:db8::53\n", "DNS=192.0.2.53\n", "Domains=example.org"}, "outside": {"Gateway=198.51.100.1\nGatewayOnLink=true", "Gateway=2001:db8:ffff::1\nGatewayOnLink=true"},
		"two": {"DHCP=ipv4", "Address=203.0.113.7/32", "GatewayOnLink=true"}}[name]...)
}

func realIfup(t *testing.T, root, dir, name string) {
	var out string
	cards := map[string][]string{"two": {"eth0", "back"}}[name]
	if cards == nil {
		cards = []string{"eth0"}
	}
	for _, c := range cards {
		cmd := exec.Command(root+"/sbin/ifup", "-n", "-v", "--force", "--state-dir", t.TempDir(), "-i", dir+"/etc/network/interfaces", c)
		b, _ := cmd.CombinedOutput() // without a DHCP client here it fails for DHCP; with one nothing is run
		out += string(b)
	}
	if strings.Contains(out, "interfaces:") || strings.Contains(out, "unknown") {
		t.Errorf("ifup says %s", out)
	}
	client := "No DHCP client"
	if _, err := exec.LookPath("dhclient"); err == nil {
		client = "dhclient -4"
	}
	need(t, out, map[string][]string{"dhcp4": {"configuring interface eth0=eth0 (inet)", client}, "static4": {"ip addr add 192.168.1.100/255.255.255.0", "ip addr add 192.168.1.101/24", "route add default via 192.168.1.1", "10.0.0.0/8 via 192.168.1.254"},
		"static46": {"mtu 1400", "accept_ra=0", "addr add 2001:db8::5/64", "default via 2001:db8::1", "2001:db8:1::/48 via 2001:db8::2"}, "slaac": {"accept_ra=2", "autoconf=1"},
		"only6": {"addr add 2001:db8::5/64", "default via fe80::1"}, "outside": {"203.0.113.7/255.255.255.255", "default via 198.51.100.1 dev eth0 onlink", "2001:db8::7/128", "default via 2001:db8:ffff::1 dev eth0 onlink"},
		"two": {"ip addr add 203.0.113.7/255.255.255.255", "via 203.0.113.1 dev back onlink"}}[name]...)
}

func realNM(t *testing.T, root, dir, name string) {
	var out string
	found, _ := filepath.Glob(dir + "/etc/NetworkManager/system-connections/*.nmconnection")
	for _, f := range found {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out += runIn(t, root, string(b), root+"/usr/bin/nmcli", "--offline", "connection", "modify", "connection.autoconnect", "yes")
	}
	need(t, out, map[string][]string{"dhcp4": {"method=auto"}, "static4": {"interface-name=eth0", "address1=192.168.1.100/24,192.168.1.1", "address2=192.168.1.101/24", "route1=10.0.0.0/8,192.168.1.254,50", "dns=8.8.8.8;4.4.4.4;", "dns-search=example.org;example.net;"},
		"static46": {"mac-address=52:54:00:AA:BB:01", "mtu=1400", "address1=2001:db8::5/64,2001:db8::1", "route1=2001:db8:1::/48,2001:db8::2"}, "slaac": {"method=disabled", "[ipv6]\nmethod=auto"},
		"only6": {"method=disabled", "address1=2001:db8::5/64,fe80::1", "dns=2001:db8::53;", "dns-search=example.org;"}, "outside": {"address1=203.0.113.7/32,198.51.100.1", "address1=2001:db8::7/128,2001:db8:ffff::1"},
		"two": {"mac-address=52:54:00:AA:BB:02", "address1=203.0.113.7/32"}}[name]...)
}

// networkdScript runs a networkd on two cards without anybody at their other end,
// in namespaces that end with it. Where /sys cannot be written it does not wait for
// udev, as in a container.
const networkdScript = `set -e
mount --make-rprivate /
mkdir -p /etc/systemd/network
mount --bind "$1" /etc/systemd/network
mount -t tmpfs x /run/systemd
mkdir -p /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/network
chown -R systemd-network:systemd-network /run/systemd/netif
mount -t sysfs -o ro sysfs /sys
ip link add eth0 address 52:54:00:aa:bb:01 type veth peer name peer0; ip link set peer0 up
ip link add back address 52:54:00:aa:bb:02 type veth peer name peer1; ip link set peer1 up
SYSTEMD_LOG_TARGET=console /lib/systemd/systemd-networkd >"$2" 2>&1 &
# Gained IPv6LL is the last that a card does by itself.
timeout 40 bash -c 'grep -q -m 1 "$2: Gained IPv6LL" < <(exec tail --pid="$1" -n +1 -f "$0" 2>/dev/null)' "$2" $! "$3" || cat "$2"
ip addr; ip route; ip -6 route
kill $!
`

func realNetworkd(t *testing.T, _, dir, name string) {
	log, last := filepath.Join(t.TempDir(), "log"), "eth0"
	if name == "two" {
		last = "back"
	}
	out := runIn(t, "", "", "unshare", "-n", "-m", "bash", "-c", networkdScript, "networkd", dir+"/etc/systemd/network", log, last)
	b, _ := os.ReadFile(log)
	if text := string(b); strings.Contains(text, "Unknown key") || strings.Contains(text, "Failed to parse") || strings.Contains(text, "Invalid") {
		t.Errorf("networkd says %s", text)
	}
	need(t, out, map[string][]string{"static4": {"192.168.1.100/24", "192.168.1.101/24", "default via 192.168.1.1 dev eth0", "10.0.0.0/8 via 192.168.1.254 dev eth0 proto static metric 50"},
		"static46": {"192.0.2.5/24", "2001:db8::5/64", "2001:db8::6/64", "default via 2001:db8::1", "2001:db8:1::/48 via 2001:db8::2", "mtu 1400"},
		"only6":    {"2001:db8::5/64", "default via fe80::1"},
		"outside":  {"203.0.113.7/32", "default via 198.51.100.1 dev eth0", "2001:db8::7", "default via 2001:db8:ffff::1"},
		"two":      {"203.0.113.7/32", "198.51.100.0/24 via 203.0.113.1 dev back"}}[name]...)
	need(t, string(b), "eth0: Configuring with /etc/systemd/network/05-hearth-eth0.network")
}
