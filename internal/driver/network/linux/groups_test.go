package linux

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"hearth/internal/cloud"
)

func TestIntervals(t *testing.T) {
	for given, want := range map[string]string{
		"":                                      "",
		"10.0.0.0/24":                           "10.0.0.0 10.0.1.0)",
		"10.0.0.0/25 10.0.0.128/25":             "10.0.0.0 10.0.1.0)",
		"10.0.1.0/24 10.0.0.0/16 10.0.255.0/24": "10.0.0.0 10.1.0.0)",
		"10.0.0.1/32 10.0.0.3/32":               "10.0.0.1 10.0.0.2) 10.0.0.3 10.0.0.4)",
		"0.0.0.0/0 10.0.0.0/8":                  "0.0.0.0",
		"255.255.255.0/24 255.255.255.255/32":   "255.255.255.0",
		"fd00::/64 fd00:0:0:1::/64 fd00::1/128": "fd00:: fd00:0:0:2::)",
		"10.0.0.7/24":                           "10.0.0.0 10.0.1.0)",
		"128.0.0.0/1 0.0.0.0/1":                 "0.0.0.0",
	} {
		var prefixes []netip.Prefix
		for _, text := range strings.Fields(given) {
			prefixes = append(prefixes, netip.MustParsePrefix(text))
		}
		var got []string
		for _, e := range intervals(prefixes) {
			addr, _ := netip.AddrFromSlice(e.Key)
			text := fmt.Sprint(addr)
			if e.IntervalEnd {
				text += ")"
			}
			got = append(got, text)
		}
		if all := strings.Join(got, " "); all != want {
			t.Errorf("%s: %s, want %s", given, all, want)
		}
	}
}

// TestJudgement changes each thing that filters are made of: a change that it does not
// see would not be applied.
func TestJudgement(t *testing.T) {
	mark := 46
	seen := map[string]string{}
	for name, spec := range map[string]cloud.NetworkSpec{
		"nothing":         {},
		"a group":         {Groups: []cloud.GroupSpec{{ID: "g"}}},
		"an address":      {AddressGroups: []cloud.AddressGroupSpec{{ID: "a"}}},
		"another address": {AddressGroups: []cloud.AddressGroupSpec{{ID: "a", Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}},
		"a mark":          {Ports: []cloud.PortSpec{{DSCP: &mark}}},
		"a port":          {Ports: []cloud.PortSpec{{}}},
	} {
		sum, err := judgement(spec)
		if err != nil {
			t.Fatal(err)
		}
		if other := seen[string(sum[:])]; other != "" {
			t.Errorf("%s is as %s", name, other)
		}
		seen[string(sum[:])] = name
	}
}
