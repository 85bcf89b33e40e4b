package netconf

import (
	"net/netip"
	"reflect"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/disk/guestos"
)

func TestParse(t *testing.T) {
	want := Network{NICs: []NIC{{Name: "eth0", MAC: "52:54:00:12:34:56", Addresses: prefixes("192.0.2.5/24", "2001:db8::5/64"), Gateway4: addr("192.0.2.1"), MTU: 1400,
		Routes: []Route{{To: netip.MustParsePrefix("10.0.0.0/8"), Via: addr("192.0.2.9"), Metric: 5}}}}, DNS: []netip.Addr{addr("8.8.8.8")}, Search: []string{"example.org"}}
	for _, text := range []string{`
nics:
- name: eth0
  mac: 52:54:00:12:34:56
  mtu: 1400
  addresses: [192.0.2.5/24, "2001:db8::5/64"]
  gateway4: 192.0.2.1
  routes:
  - {to: 10.0.0.0/8, via: 192.0.2.9, metric: 5}
dns: [8.8.8.8]
search: [example.org]
`, `{"nics": [{"name": "eth0", "mac": "52:54:00:12:34:56", "mtu": 1400, "addresses": ["192.0.2.5/24", "2001:db8::5/64"], "gateway4": "192.0.2.1", "routes": [{"to": "10.0.0.0/8", "via": "192.0.2.9", "metric": 5}]}], "dns": ["8.8.8.8"], "search": ["example.org"]}`} {
		if got, err := Parse([]byte(text)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, %v", got, err)
		}
	}
	for _, bad := range []string{"", "nics: 5", "nic: []", "nics: [{place: 1}]", "nics: []", "\x00", "nics: [{addresses: [192.0.2.5]}]"} {
		if got, err := Parse([]byte(bad)); disk.KindOf(err) != disk.Refused {
			t.Errorf("%q is %+v, %v", bad, got, err)
		}
	}
}

// TestOpenStack reads what the metadata service gives.
func TestOpenStack(t *testing.T) {
	got, err := Parse([]byte(`{"links": [{"id": "tap1", "vif_id": "1", "type": "phy", "mtu": 1450, "ethernet_mac_address": "fa:16:3e:00:00:01"}, {"id": "tap2", "type": "bridge", "mtu": null, "ethernet_mac_address": "fa:16:3e:00:00:02"}],
"networks": [{"id": "network0", "link": "tap1", "type": "ipv4", "ip_address": "10.0.0.5", "netmask": "255.255.255.0", "routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.0.1"}, {"network": "10.9.0.0", "netmask": "255.255.0.0", "gateway": "10.0.0.2"}], "services": [{"type": "dns", "address": "10.0.0.2"}]},
{"id": "network1", "link": "tap1", "type": "ipv6", "ip_address": "fd00::5", "netmask": "ffff:ffff:ffff:ffff::", "routes": [{"network": "::", "netmask": "::", "gateway": "fd00::1"}]}, {"id": "network2", "link": "tap2", "type": "ipv4_dhcp"}, {"id": "network3", "link": "tap2", "type": "ipv6_slaac", "ip_address": "fd01::5"}],
"services": [{"type": "dns", "address": "10.0.0.2"}, {"type": "dns", "address": "9.9.9.9"}]}`))
	want := Network{NICs: []NIC{{MAC: "fa:16:3e:00:00:01", MTU: 1450, Addresses: prefixes("10.0.0.5/24", "fd00::5/64"), Gateway4: addr("10.0.0.1"), Gateway6: addr("fd00::1"), Routes: []Route{{To: netip.MustParsePrefix("10.9.0.0/16"), Via: addr("10.0.0.2")}}, DNS: []netip.Addr{addr("10.0.0.2")}},
		{MAC: "fa:16:3e:00:00:02", DHCP4: true, SLAAC: true}}, DNS: []netip.Addr{addr("9.9.9.9")}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
}

// FuzzParse: whatever is read can be written, in every way.
func FuzzParse(f *testing.F) {
	f.Add([]byte("nics: [{dhcp4: true}]"))
	f.Add([]byte(`{"links": [{"id": "a"}], "networks": [{"link": "a", "type": "ipv4", "ip_address": "::1", "netmask": "255.0.0.0"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := Parse(b)
		if err != nil {
			return
		}
		for way, guest := range guests {
			if p, err := Write(guest, guestos.Identify(guest), n); err != nil || p.Way != way {
				t.Errorf("%s: %v", way, err)
			}
		}
	})
}
