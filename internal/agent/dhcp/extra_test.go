package dhcp

import (
	"strings"
	"testing"
)

func TestEncodeOption(t *testing.T) {
	for _, c := range []struct {
		name, value, want string
		ok                bool
	}{
		{"domain-search", "a.example,b.example.", "\x01a\x07example\x00\x01b\x07example\x00", true},
		{"domain-search", "a..example", "", false},
		{"domain-search", strings.Repeat("x", 64) + ".example", "", false},
		{"domain-search", "", "", false},
		{"ntp-server", "10.0.0.5, 10.0.0.6", "\x0a\x00\x00\x05\x0a\x00\x00\x06", true},
		{"ntp-server", "2001:db8::1", "", false},
		{"mtu", "1450", "\x05\xaa", true},
		{"mtu", "70000", "", false},
		{"tftp-server", "boot.example", "boot.example", true},
	} {
		got, ok := encodeOption(names[c.name].form, c.value)
		if ok != c.ok || string(got) != c.want {
			t.Errorf("%s %q: %q, %t, want %q, %t", c.name, c.value, got, ok, c.want, c.ok)
		}
	}
}
