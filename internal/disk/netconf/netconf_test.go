package netconf

import (
	"bytes"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs/guestfstest"
	"hearth/internal/disk/guestos"
)

var update = flag.Bool("update", false, "write the golden files")

type files = guestfstest.Files

// guests are the least that tells each way from the others.
var guests = map[Way]files{
	Netplan: {"/etc/os-release": "ID=ubuntu\nID_LIKE=debian\n", "/usr/sbin/netplan": "", "/lib/systemd/systemd": "", "/lib/systemd/systemd-networkd": "", "/lib/udev": "", "/lib/systemd/systemd-resolved": "",
		"/etc/systemd/system/dbus-org.freedesktop.resolve1.service": "", "/etc/netplan/01-old.yaml": "network: {}\n", "/etc/cloud/cloud.cfg": ""},
	Networkd:       {"/etc/os-release": "ID=arch\n", "/usr/lib/systemd/systemd": "", "/usr/lib/systemd/systemd-networkd": "", "/usr/lib/udev": ""},
	NetworkManager: {"/etc/os-release": "ID=fedora\n", "/usr/lib/systemd/systemd": "", "/usr/sbin/NetworkManager": "", "/usr/lib/udev": ""},
	Ifupdown:       {"/etc/os-release": "ID=debian\n", "/lib/systemd/systemd": "", "/lib/systemd/systemd-networkd": "", "/sbin/ifup": "", "/etc/network": "", "/etc/network/interfaces": "auto ens3\niface ens3 inet dhcp\n", "/sbin/dhclient": "", "/lib/udev": ""},
	Ifcfg:          {"/etc/redhat-release": "CentOS release 6.10 (Final)\n", "/etc/sysconfig/network-scripts/ifup-eth": "", "/etc/sysconfig/network": "NETWORKING=yes\nHOSTNAME=old\n", "/etc/sysconfig/network-scripts/ifcfg-ens3": "ONBOOT=yes\n", "/lib/udev": ""},
	SUSE: {"/etc/os-release": "ID=opensuse-leap\nID_LIKE=suse\n", "/usr/lib/systemd/systemd": "", "/usr/sbin/wicked": "", "/etc/sysconfig/network": "", "/etc/sysconfig/network/config": "# comment\nNETCONFIG_DNS_STATIC_SERVERS=\"\"\nNETCONFIG_DNS_POLICY=\"auto\"\n", "/usr/lib/udev": "",
		"/etc/sysconfig/network/ifroute-eth0": "default 192.0.2.254 - -\n", "/etc/sysconfig/network/ifsysctl-eth0": "net.ipv6.conf.eth0.accept_ra = 1\n"},
	Netifrc: {"/etc/gentoo-release": "Gentoo Base System release 2.14\n", "/sbin/openrc": "", "/etc/init.d/net.lo": "", "/sbin/dhcpcd": "", "/lib/udev": ""},
	Alpine:  {"/etc/os-release": "ID=alpine\n", "/sbin/openrc": "", "/sbin/ifup": "", "/etc/network": "", "/bin/busybox": "", "/etc/init.d/networking": ""},
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func prefixes(list ...string) (all []netip.Prefix) {
	for _, s := range list {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

// cases are the networks that each way is asked for.
var cases = map[string]Network{
	"dhcp4": {NICs: []NIC{{DHCP4: true}}},
	"static4": {NICs: []NIC{{Name: "eth0", Addresses: prefixes("192.168.1.100/24", "192.168.1.101/24"), Gateway4: addr("192.168.1.1"), Routes: []Route{{To: netip.MustParsePrefix("10.0.0.0/8"), Via: addr("192.168.1.254"), Metric: 50}}}},
		DNS: []netip.Addr{addr("8.8.8.8"), addr("4.4.4.4")}, Search: []string{"example.org", "example.net"}},
	"static46": {NICs: []NIC{{MAC: "52:54:00:AA:bb:01", MTU: 1400, Addresses: prefixes("192.0.2.5/24", "2001:db8::5/64", "2001:db8::6/64"), Gateway4: addr("192.0.2.1"), Gateway6: addr("2001:db8::1"),
		Routes: []Route{{To: netip.MustParsePrefix("2001:db8:1::/48"), Via: addr("2001:db8::2")}}, DNS: []netip.Addr{addr("192.0.2.53"), addr("2001:db8::53")}, Search: []string{"example.org"}}}},
	"only6":   {NICs: []NIC{{Name: "eth0", Addresses: prefixes("2001:db8::5/64"), Gateway6: addr("fe80::1"), DNS: []netip.Addr{addr("2001:db8::53"), addr("192.0.2.53")}, Search: []string{"example.org"}}}},
	"outside": {NICs: []NIC{{MAC: "52:54:00:aa:bb:01", Addresses: prefixes("203.0.113.7/32", "2001:db8::7/128"), Gateway4: addr("198.51.100.1"), Gateway6: addr("2001:db8:ffff::1")}}},
	"slaac":   {NICs: []NIC{{MAC: "52:54:00:aa:bb:01", SLAAC: true}}},
	"two": {NICs: []NIC{{MAC: "52:54:00:aa:bb:01", DHCP4: true, SLAAC: true}, {Name: "back", MAC: "52:54:00:aa:bb:02", Addresses: prefixes("203.0.113.7/32"),
		Gateway4: netip.Addr{}, Routes: []Route{{To: netip.MustParsePrefix("198.51.100.0/24"), Via: addr("203.0.113.1")}}}}},
}

// TestGolden holds what is written against testdata/WAY/CASE, and a second time
// finds nothing to do.
func TestGolden(t *testing.T) {
	for way, guest := range guests {
		for name, network := range cases {
			t.Run(string(way)+"/"+name, func(t *testing.T) {
				guest := clone(guest)
				p := mustWrite(t, guest, network)
				if p.Way != way {
					t.Fatalf("the way is %q", p.Way)
				}
				golden(t, filepath.Join("testdata", string(way), name), text(p))
				apply(guest, p)
				if again := mustWrite(t, guest, network); len(again.Files) > 0 {
					t.Errorf("a second time changes\n%s", text(again))
				}
			})
		}
	}
}

func clone(f files) files {
	out := files{}
	for name, text := range f {
		out[name] = text
	}
	return out
}

func mustWrite(t *testing.T, guest files, n Network) *Plan {
	t.Helper()
	p, err := Write(guest, guestos.Identify(guest), n)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func apply(guest files, p *Plan) {
	for _, f := range p.Files {
		guest[f.Path] = string(f.Data)
		if f.Gone {
			delete(guest, f.Path)
		}
	}
}

func text(p *Plan) string {
	var b strings.Builder
	for _, f := range p.Files {
		switch {
		case f.Gone:
			fmt.Fprintf(&b, "-- %s gone --\n", f.Path)
		case f.Link != "":
			fmt.Fprintf(&b, "-- %s -> %s --\n", f.Path, f.Link)
		default:
			fmt.Fprintf(&b, "-- %s %04o --\n%s", f.Path, f.Mode, f.Data)
		}
	}
	for _, text := range p.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", text)
	}
	return b.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, []byte(got)) {
		t.Errorf("%s: got\n%s", name, got)
	}
}

// TestUnknown: a guest that nobody knows is left as it is.
func TestUnknown(t *testing.T) {
	for _, guest := range []files{{}, {"/etc/os-release": "ID=plan9\n"}, {"/etc/os-release": "ID=debian\n"}, {"/etc/gentoo-release": "Gentoo\n"}} {
		if p := mustWrite(t, guest, DHCP()); p.Way != None || len(p.Files) > 0 || len(p.Warnings) != 1 {
			t.Errorf("%v: %+v", guest, p)
		}
	}
}

// TestFind: what is turned on comes before what lies about.
func TestFind(t *testing.T) {
	debian := files{"/etc/os-release": "ID=debian\n", "/lib/systemd/systemd": "", "/lib/systemd/systemd-networkd": "", "/usr/sbin/NetworkManager": "", "/sbin/ifup": "", "/etc/network": ""}
	for _, tt := range []struct {
		more []string
		want Way
	}{{nil, Ifupdown}, {[]string{"/usr/sbin/netplan"}, Netplan},
		{[]string{"/etc/systemd/system/multi-user.target.wants/systemd-networkd.service"}, Networkd},
		{[]string{"/etc/systemd/system/multi-user.target.wants/systemd-networkd.service", "/etc/systemd/system/multi-user.target.wants/networking.service"}, Ifupdown},
		{[]string{"/etc/systemd/system/multi-user.target.wants/NetworkManager.service"}, NetworkManager}} {
		guest := clone(debian)
		for _, name := range tt.more {
			guest[name] = ""
		}
		if got := Find(guest, guestos.Identify(guest)); got != tt.want {
			t.Errorf("with %v it is %q, want %q", tt.more, got, tt.want)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, bad := range []Network{{}, {NICs: []NIC{{Name: "eth0\nx"}}}, {NICs: []NIC{{Name: "$(reboot)"}}}, {NICs: []NIC{{MAC: "nonsense"}}}, {NICs: []NIC{{MAC: "52:54:00:AA:00:01"}, {MAC: "52-54-00-aa-00-01"}}}, {NICs: []NIC{{}, {}}}, {NICs: []NIC{{Name: "a"}, {Name: "a"}}},
		{NICs: []NIC{{DHCP4: true}}, Search: []string{"a; reboot"}}, {NICs: []NIC{{Gateway4: addr("::1")}}}, {NICs: []NIC{{DHCP4: true, Gateway4: addr("192.0.2.1")}}}, {NICs: []NIC{{Addresses: prefixes("192.0.2.5/24"), Gateway6: addr("fe80::1")}}}, {NICs: []NIC{{Addresses: []netip.Prefix{{}}}}}, {NICs: []NIC{{MTU: 1}}},
		{NICs: []NIC{{DNS: []netip.Addr{addr("fe80::1%eth0")}}}}, {NICs: []NIC{{Routes: []Route{{To: netip.MustParsePrefix("10.0.0.1/8"), Via: addr("10.0.0.1")}}}}}} {
		if p, err := Write(guests[Netplan], nil, bad); disk.KindOf(err) != disk.Refused {
			t.Errorf("%+v gave %v, %v", bad, p, err)
		}
	}
}
