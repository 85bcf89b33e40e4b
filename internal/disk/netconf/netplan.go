package netconf

import (
	"fmt"
	"strconv"
	"strings"
)

// netplan writes one file of netplan(5). The default route is written in full:
// netplan before 0.103 does not know the word "default".
func netplan(w *writer) {
	const own = "50-hearth.yaml"
	w.aside("/etc/netplan/*.yaml", func(name, _ string) bool { return name == own })
	var b strings.Builder
	b.WriteString(head + "network:\n  version: 2\n  ethernets:\n")
	for _, c := range w.cards {
		netplanCard(&b, c)
	}
	w.put("/etc/netplan/"+own, b.String(), 0o600)
	w.resolver()
}

func netplanCard(b *strings.Builder, c card) {
	line := func(format string, args ...any) { fmt.Fprintf(b, "      "+format+"\n", args...) }
	fmt.Fprintf(b, "    %s:\n", c.name)
	switch {
	case c.MAC != "":
		line("match:\n        macaddress: %q", c.MAC)
		if c.given {
			line("set-name: %s", c.name)
		}
	case c.any:
		line("match:\n        name: \"e*\"")
	}
	line("dhcp4: %t", c.DHCP4)
	line("dhcp6: %t", c.DHCP6)
	if c.SLAAC || c.deaf() {
		line("accept-ra: %t", c.SLAAC)
	}
	if c.MTU > 0 {
		line("mtu: %d", c.MTU)
	}
	if len(c.Addresses) > 0 {
		line("addresses:")
		for _, a := range c.Addresses {
			line("  - %q", a)
		}
	}
	if all := append(c.routes(false), c.routes(true)...); len(all) > 0 {
		line("routes:")
		for _, r := range all {
			line("  - to: %q", r.To)
			line("    via: %q", r.Via)
			if r.Metric > 0 {
				line("    metric: %d", r.Metric)
			}
			if c.onLink(r.Via) {
				line("    on-link: true")
			}
		}
	}
	if len(c.DNS)+len(c.Search) > 0 {
		line("nameservers:")
		if len(c.DNS) > 0 {
			line("  addresses: [%s]", `"`+join(c.DNS, `", "`)+`"`)
		}
		if len(c.Search) > 0 {
			line("  search: [%s]", `"`+strings.Join(c.Search, `", "`)+`"`)
		}
	}
}

// networkd writes files of systemd.network(5). Their names come before those of
// others, and the first file that fits a card counts.
func networkd(w *writer) {
	for _, c := range w.cards {
		w.put("/etc/systemd/network/05-hearth-"+c.name+".network", networkFile(c), 0o644)
	}
	w.rename(false)
	if !enabled(w.t, "systemd-networkd") {
		w.link("/etc/systemd/system/multi-user.target.wants/systemd-networkd.service", "/lib/systemd/system/systemd-networkd.service")
	}
	w.resolver()
}

func networkFile(c card) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	b.WriteString("# Written by Hearth.\n")
	line("[Match]")
	switch {
	case c.MAC != "":
		line("MACAddress=%s", c.MAC)
	case c.any:
		line("Type=ether\nName=e*")
	default:
		line("Name=%s", c.name)
	}
	if c.MTU > 0 {
		line("\n[Link]\nMTUBytes=%d", c.MTU)
	}
	line("\n[Network]\nDHCP=%s", map[[2]bool]string{{true, true}: "yes", {true, false}: "ipv4", {false, true}: "ipv6"}[[2]bool{c.DHCP4, c.DHCP6}]+map[bool]string{true: "no"}[!c.DHCP4 && !c.DHCP6])
	if c.SLAAC || c.deaf() {
		line("IPv6AcceptRA=%s", map[bool]string{true: "yes", false: "no"}[c.SLAAC])
	}
	for _, a := range c.DNS {
		line("DNS=%s", a)
	}
	if len(c.Search) > 0 {
		line("Domains=%s", strings.Join(c.Search, " "))
	}
	for _, a := range c.Addresses {
		line("\n[Address]\nAddress=%s", a)
	}
	for _, r := range append(c.routes(false), c.routes(true)...) {
		line("\n[Route]\nDestination=%s\nGateway=%s", r.To, r.Via)
		if r.Metric > 0 {
			line("Metric=%s", strconv.Itoa(r.Metric))
		}
		if c.onLink(r.Via) {
			line("GatewayOnLink=yes")
		}
	}
	return b.String()
}
