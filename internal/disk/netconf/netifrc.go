package netconf

import (
	"fmt"
	"strings"

	"hearth/internal/disk/guestos"
)

// netifrc writes /etc/conf.d/net (net.example of Gentoo's netifrc) and turns the
// cards' services on. The files are for a shell: each variable stands in quotes.
func netifrc(w *writer) {
	var b strings.Builder
	b.WriteString(head)
	for _, c := range w.cards {
		netifrcCard(&b, c)
	}
	w.replace("/etc/conf.d/net", b.String(), 0o644)
	for _, c := range w.cards {
		w.link("/etc/init.d/net."+c.name, "net.lo")
		w.link("/etc/runlevels/default/net."+c.name, "/etc/init.d/net."+c.name)
	}
	if !guestos.Has(w.t, "/etc/init.d/net.lo") {
		w.warn("this guest has netifrc without its service net.lo: nothing starts the network")
	}
	w.rename(true)
	w.needDHCP()
}

func netifrcCard(b *strings.Builder, c card) {
	set := func(key string, values ...string) {
		if len(values) > 0 {
			fmt.Fprintf(b, "%s_%s=\"%s\"\n", key, strings.ReplaceAll(c.name, "-", "_"), strings.Join(values, "\n"))
		}
	}
	b.WriteByte('\n')
	var config, routes []string
	if c.DHCP4 {
		config = append(config, "dhcp")
	}
	for _, a := range c.Addresses {
		config = append(config, a.String())
	}
	if c.DHCP6 {
		config = append(config, "dhcpv6")
	}
	if len(config) == 0 { // up, and the kernel listens to routers
		config = []string{"null"}
	}
	for _, r := range append(c.routes(false), c.routes(true)...) {
		to := r.To.String()
		if isDefault(r.To) {
			to = "default"
		}
		if c.onLink(r.Via) {
			routes = append(routes, r.Via.String()+" scope link")
		}
		text := to + " via " + r.Via.String()
		if r.Metric > 0 {
			text += fmt.Sprintf(" metric %d", r.Metric)
		}
		routes = append(routes, text)
	}
	set("config", config...)
	set("routes", routes...)
	if c.MTU > 0 {
		set("mtu", fmt.Sprint(c.MTU))
	}
	if len(c.DNS) > 0 {
		set("dns_servers", join(c.DNS, " "))
	}
	if len(c.Search) > 0 {
		set("dns_search", strings.Join(c.Search, " "))
	}
}
