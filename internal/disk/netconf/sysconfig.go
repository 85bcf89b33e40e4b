package netconf

import (
	"fmt"
	"strings"

	"hearth/internal/disk/guestos"
)

// yes is how sysconfig says it.
func yes(b bool) string { return map[bool]string{true: "yes", false: "no"}[b] }

// ifcfg writes RedHat's files (initscripts' sysconfig.txt), which the
// network-scripts and NetworkManager's plugin for them read. Addresses are told by
// mask and by length: the former is for those before RedHat 6.
func ifcfg(w *writer) {
	const dir = "/etc/sysconfig/network-scripts/"
	own := map[string]bool{"ifcfg-lo": true}
	for _, c := range w.cards {
		own["ifcfg-"+c.name] = true
	}
	w.aside(dir+"ifcfg-*", func(name, text string) bool { return own[name] || strings.Contains(name, ".") })
	for _, c := range w.cards {
		w.replace(dir+"ifcfg-"+c.name, ifcfgFile(c), 0o644)
		for _, six := range []bool{false, true} {
			if text := ifcfgRoutes(c, six); text != "" {
				w.replace(dir+map[bool]string{false: "route-", true: "route6-"}[six]+c.name, head+text, 0o644)
			}
		}
	}
	now := w.read("/etc/sysconfig/network")
	text := assignPlain(now, "NETWORKING", "yes")
	for _, c := range w.cards {
		if c.v6() {
			text = assignPlain(text, "NETWORKING_IPV6", "yes")
		}
	}
	w.put("/etc/sysconfig/network", text, 0o644)
	w.rename(true)
}

func assignPlain(text, key, value string) string {
	if guestos.Variables(text)[key] == value {
		return text
	}
	return assign(text, key, value)
}

func ifcfgFile(c card) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	b.WriteString(head)
	line("DEVICE=%s", c.name)
	if c.MAC != "" {
		line("HWADDR=%s", strings.ToUpper(c.MAC))
	}
	line("TYPE=Ethernet\nONBOOT=yes\nUSERCTL=no")
	line("BOOTPROTO=%s", map[bool]string{true: "dhcp", false: "none"}[c.DHCP4])
	if c.DHCP4 {
		line("PERSISTENT_DHCLIENT=yes")
	}
	if c.MTU > 0 {
		line("MTU=%d", c.MTU)
	}
	for i, a := range c.of(false) {
		n := ""
		if i > 0 {
			n = fmt.Sprint(i)
		}
		line("IPADDR%s=%s\nPREFIX%s=%d\nNETMASK%s=%s", n, a.Addr(), n, a.Bits(), n, mask(a))
	}
	if c.Gateway4.IsValid() && !c.onLink(c.Gateway4) {
		line("GATEWAY=%s", c.Gateway4)
	}
	line("DEFROUTE=%s", yes(c.DHCP4 || c.Gateway4.IsValid() || !c.Gateway6.IsValid() && len(c.of(false)) == 0))
	line("IPV6INIT=%s", yes(c.v6()))
	if c.v6() {
		line("IPV6_AUTOCONF=%s", yes(c.SLAAC))
		if c.DHCP6 {
			line("DHCPV6C=yes")
		}
		if six := c.of(true); len(six) > 0 {
			line("IPV6ADDR=%s", six[0])
			if len(six) > 1 {
				line("IPV6ADDR_SECONDARIES=%q", join(six[1:], " "))
			}
		}
		if g := c.Gateway6; g.IsLinkLocalUnicast() { // the scripts want its card
			line("IPV6_DEFAULTGW=%s%%%s", g, c.name)
		} else if g.IsValid() && !c.onLink(g) {
			line("IPV6_DEFAULTGW=%s", g)
		}
	}
	for i, a := range c.DNS {
		line("DNS%d=%s", i+1, a)
	}
	if len(c.Search) > 0 {
		line("DOMAIN=%q", strings.Join(c.Search, " "))
	}
	return b.String()
}

// ifcfgRoutes are arguments of "ip route", a line each.
func ifcfgRoutes(c card, six bool) string {
	var b strings.Builder
	for _, r := range c.routes(six) {
		if isDefault(r.To) && !c.onLink(r.Via) {
			continue // the file of the card has it
		}
		if c.onLink(r.Via) {
			fmt.Fprintf(&b, "%s dev %s\n", r.Via, c.name)
		}
		fmt.Fprintf(&b, "%s via %s dev %s", map[bool]string{true: "default", false: r.To.String()}[isDefault(r.To)], r.Via, c.name)
		if r.Metric > 0 {
			fmt.Fprintf(&b, " metric %d", r.Metric)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// suse writes ifcfg(5), ifroute(5), ifsysctl(5) and netconfig(8) of SUSE. What a
// card had of its own in ifroute-, ifrule- and ifsysctl- would come before.
func suse(w *writer) {
	const dir = "/etc/sysconfig/network/"
	own := map[string]bool{"ifcfg-lo": true, "ifroute-lo": true, "ifcfg.template": true}
	for _, c := range w.cards {
		own["ifcfg-"+c.name] = true
		own["ifsysctl-"+c.name] = c.deaf()
	}
	for _, kind := range []string{"ifcfg-", "ifroute-", "ifrule-", "ifsysctl-"} {
		w.aside(dir+kind+"*", func(name, _ string) bool { return own[name] || strings.Contains(name, ".") })
	}
	for _, c := range w.cards {
		w.replace(dir+"ifcfg-"+c.name, suseFile(c), 0o600)
		if c.deaf() {
			w.replace(dir+"ifsysctl-"+c.name, head+"net/ipv6/conf/"+c.name+"/accept_ra = 0\nnet/ipv6/conf/"+c.name+"/autoconf = 0\n", 0o644)
		}
	}
	var routes strings.Builder
	for _, c := range w.cards {
		for _, r := range append(c.routes(false), c.routes(true)...) {
			to := r.To.String()
			if isDefault(r.To) {
				to = "default"
			}
			if c.onLink(r.Via) {
				fmt.Fprintf(&routes, "%s - - %s\n", r.Via, c.name)
			}
			fmt.Fprintf(&routes, "%s %s - %s", to, r.Via, c.name)
			if r.Metric > 0 {
				fmt.Fprintf(&routes, " unicast metric %d", r.Metric)
			}
			routes.WriteByte('\n')
		}
	}
	if routes.Len() > 0 || guestos.Has(w.t, dir+"routes") {
		w.replace(dir+"routes", head+routes.String(), 0o644)
	}
	if dns, search := w.dns(); len(dns)+len(search) > 0 {
		now := w.read(dir + "config")
		w.put(dir+"config", assign(now, "NETCONFIG_DNS_STATIC_SERVERS", join(dns, " "), "NETCONFIG_DNS_STATIC_SEARCHLIST", strings.Join(search, " ")), 0o644)
	}
	w.rename(true)
}

func suseFile(c card) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	b.WriteString(head)
	proto := "static"
	switch {
	case c.DHCP4 && (c.DHCP6 || c.SLAAC):
		proto = "dhcp"
	case c.DHCP4:
		proto = "dhcp4"
	case c.DHCP6:
		proto = "dhcp6"
	case c.SLAAC && len(c.Addresses) == 0:
		proto = "auto6"
	}
	line("BOOTPROTO='%s'\nSTARTMODE='auto'", proto)
	for i, a := range c.Addresses {
		suffix := ""
		if i > 0 {
			suffix = fmt.Sprintf("_%d", i)
		}
		line("IPADDR%s='%s'", suffix, a)
	}
	if c.MTU > 0 {
		line("MTU='%d'", c.MTU)
	}
	return b.String()
}
