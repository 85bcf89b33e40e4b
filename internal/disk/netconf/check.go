package netconf

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v3"

	"hearth/internal/disk"
)

// What is written lands in files that shells read: names have letters that mean
// nothing to one.
var (
	cardName   = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_-]{0,14}$`)
	domainName = regexp.MustCompile(`^[a-zA-Z0-9_]([a-zA-Z0-9._-]{0,251}[a-zA-Z0-9_.])?$`)
)

func refuse(format string, args ...any) error {
	return &disk.Error{Kind: disk.Refused, Op: "describe a network", Reason: fmt.Sprintf(format, args...)}
}

// Parse reads a network: YAML or JSON in the form of [Network], or OpenStack's
// network_data.json.
func Parse(b []byte) (n Network, err error) {
	var any map[string]any
	if err := yaml.Unmarshal(b, &any); err != nil {
		return n, refuse("it is neither YAML nor JSON: %v", err)
	}
	if any["links"] != nil {
		return fromOpenStack(b)
	}
	text, err := json.Marshal(any)
	if err != nil {
		return n, refuse("%v", err)
	}
	if err := strictly(text, &n); err != nil {
		return n, refuse("%v", err)
	}
	return n, n.check()
}

// check refuses what no guest could have, and what could mean more than a name.
func (n Network) check() error {
	if len(n.NICs) == 0 {
		return refuse("it has no NIC")
	}
	seen := map[string]bool{}
	for i, nic := range n.NICs {
		if err := nic.check(); err != nil {
			return err
		}
		if nic.Name == "" && nic.MAC == "" && len(n.NICs) > 1 {
			return refuse("NIC %d of %d has neither a MAC nor a name to be known by", i+1, len(n.NICs))
		}
		hw, _ := net.ParseMAC(nic.MAC) // it is one, or none was given
		for _, key := range []string{nic.Name, hw.String()} {
			if key != "" && seen[key] {
				return refuse("two NICs have %s", key)
			}
			seen[key] = true
		}
	}
	return settings(n.DNS, n.Search)
}

func (c NIC) check() error {
	if c.Name != "" && !cardName.MatchString(c.Name) || c.Name == "lo" {
		return refuse("a NIC cannot be called %q", c.Name)
	}
	if hw, err := net.ParseMAC(c.MAC); c.MAC != "" && (err != nil || len(hw) != 6) {
		return refuse("%q is no MAC", c.MAC)
	}
	if c.MTU != 0 && (c.MTU < 68 || c.MTU > 65535) {
		return refuse("an MTU of %d", c.MTU)
	}
	for _, a := range c.Addresses {
		if !plain(a.Addr()) || a.Addr().IsUnspecified() || a.Addr().IsMulticast() {
			return refuse("%s is no address with the length of its network", a)
		}
	}
	if g := c.Gateway4; g.IsValid() && (!g.Is4() || !plain(g)) {
		return refuse("the gateway %s is no IPv4 address", g)
	}
	if g := c.Gateway6; g.IsValid() && (!g.Is6() || !plain(g)) {
		return refuse("the gateway %s is no IPv6 address", g)
	}
	for _, g := range []netip.Addr{c.Gateway4, c.Gateway6} {
		if g.IsValid() && !slices.ContainsFunc(c.Addresses, func(a netip.Prefix) bool { return a.Addr().Is4() == g.Is4() }) {
			return refuse("the gateway %s is for fixed addresses of its kind, and there is none; DHCP and router advertisements bring their own", g)
		}
	}
	for _, r := range c.Routes {
		if !r.To.IsValid() || !plain(r.Via) || r.To.Addr().Is4() != r.Via.Is4() || r.To.Masked() != r.To || r.Metric < 0 {
			return refuse("the route to %s by %s", r.To, r.Via)
		}
	}
	return settings(c.DNS, c.Search)
}

func settings(dns []netip.Addr, search []string) error {
	for _, a := range dns {
		if !plain(a) {
			return refuse("a DNS server %s", a)
		}
	}
	for _, s := range search {
		if !domainName.MatchString(s) {
			return refuse("a domain %q to search", s)
		}
	}
	return nil
}

// plain is an address that is the same everywhere: no zone, and no IPv4 in IPv6.
func plain(a netip.Addr) bool { return a.IsValid() && a.Zone() == "" && !a.Is4In6() }
