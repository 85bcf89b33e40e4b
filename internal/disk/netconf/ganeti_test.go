package netconf

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"hearth/internal/disk"
	"hearth/internal/disk/guestos"
)

func folder(files map[string]string) fstest.MapFS {
	dir := fstest.MapFS{}
	for name, text := range files {
		dir[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return dir
}

// TestReadDir reads the example of ganeti-instance-image's README.
func TestReadDir(t *testing.T) {
	d, err := ReadDir(folder(map[string]string{
		"subnets/vlan42":                  "NETMASK=\"255.255.255.0\"\nGATEWAY=\"192.168.1.1\"\nDNS_DOMAIN=\"example.org\"\nDNS_SEARCH=\"example.org example.net\"\nDNS_SERVERS=\"8.8.8.8 4.4.4.4\"\n",
		"subnets/bare":                    "NETMASK=255.255.0.0\nDNS_DOMAIN=example.org\n",
		"subnets/.vlan42.swp":             "\x00",
		"subnets/vlan42~":                 "nonsense",
		"instances/myinstance.osuosl.org": "ADDRESS=192.168.1.100\nSUBNET=vlan42\n",
		"instances/b.example.org":         "ADDRESS=10.1.0.5\nSUBNET=bare\n",
	}))
	if err != nil {
		t.Fatal(err)
	}
	got, ok := d.Network("myinstance.osuosl.org")
	want := Network{NICs: []NIC{{Name: "eth0", Addresses: prefixes("192.168.1.100/24"), Gateway4: addr("192.168.1.1"), DNS: []netip.Addr{addr("8.8.8.8"), addr("4.4.4.4")}, Search: []string{"example.org", "example.net"}}}}
	if !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	got, ok = d.Network("b.example.org")
	if want := (Network{NICs: []NIC{{Name: "eth0", Addresses: prefixes("10.1.0.5/16"), Search: []string{"example.org"}}}}); !ok || !reflect.DeepEqual(got, want) || d.Subnets["bare"].CIDR.String() != "10.1.0.0/16" {
		t.Errorf("%+v %v", got, d.Subnets)
	}
	if _, ok := d.Network("other"); ok {
		t.Error("an instance that nobody named")
	}
	for want, files := range map[string]map[string]string{
		"subnets/a":   {"subnets/a": "NETMASK=255.0.255.0"},
		"GATEWAY":     {"subnets/a": "NETMASK=255.255.255.0\nGATEWAY=x"},
		"no subnet":   {"instances/a": "ADDRESS=10.0.0.1\nSUBNET=b"},
		"not in the":  {"subnets/a": "NETMASK=24\nGATEWAY=10.0.0.1", "instances/a": "ADDRESS=10.0.1.1\nSUBNET=a"},
		"the ADDRESS": {"subnets/a": "NETMASK=24\nGATEWAY=10.0.0.1", "instances/a": "SUBNET=a"},
	} {
		if _, err := ReadDir(folder(files)); disk.KindOf(err) != disk.Refused || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", files, err)
		}
	}
}

// TestReadDirAsAShell reads files as the shell of the hook interfaces does, which sources
// them: with comments behind values, quotes of both kinds, export, and the ends of lines
// of other systems.
func TestReadDirAsAShell(t *testing.T) {
	d, err := ReadDir(folder(map[string]string{
		"subnets/vlan42":      "# the office\r\nexport NETMASK='255.255.255.0' # a /24\r\nGATEWAY=\"192.168.1.1\"  # the router\r\nDNS_SERVERS=\"$GATEWAY 4.4.4.4\"\r\n",
		"instances/a.example": "ADDRESS=192.168.1.100 # web\nSUBNET=vlan42;\n",
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := Network{NICs: []NIC{{Name: "eth0", Addresses: prefixes("192.168.1.100/24"), Gateway4: addr("192.168.1.1"), DNS: []netip.Addr{addr("192.168.1.1"), addr("4.4.4.4")}, Search: []string{}}}}
	if got, ok := d.Network("a.example"); !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	for want, text := range map[string]string{
		"subnets/a: line 2": "NETMASK=24\nGATEWAY=$(hostname -i)\n",
		"subnets/a: ":       "NETMASK=24\nDNS_SEARCH='example.org, example.net'\n",
		"more than":         "NETMASK=24\n" + strings.Repeat("#", maxFile),
	} {
		if _, err := ReadDir(folder(map[string]string{"subnets/a": text})); disk.KindOf(err) != disk.Refused || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// FuzzReadDir reads folders: each instance that is accepted has a network that can be
// written for every way.
func FuzzReadDir(f *testing.F) {
	f.Add("NETMASK=\"255.255.255.0\"\nGATEWAY=\"192.168.1.1\"\nDNS_SEARCH=\"example.org example.net\"\nDNS_SERVERS=\"8.8.8.8\"\n", "ADDRESS=192.168.1.100\nSUBNET=vlan42\n")
	f.Add("NETMASK=64\nGATEWAY=2001:db8::1\nDNS_DOMAIN=x", "ADDRESS=2001:db8::5\nSUBNET=vlan42")
	f.Fuzz(func(t *testing.T, subnet, instance string) {
		d, err := ReadDir(folder(map[string]string{"subnets/vlan42": subnet, "instances/a.example.org": instance}))
		if err != nil {
			return
		}
		n, ok := d.Network("a.example.org")
		if !ok {
			t.Fatal("it is not there")
		}
		for way, guest := range guests {
			if _, err := Write(guest, guestos.Identify(guest), n); err != nil {
				t.Errorf("%s: %v", way, err)
			}
		}
	})
}
