package netconf

import (
	"fmt"
	"strings"

	"hearth/internal/disk/guestos"
)

// interfaces writes interfaces(5) of ifupdown, of busybox and of ifupdown-ng: the
// words that all three know. Addresses and masks are written apart for the sake of
// busybox; options that one does not know it hands to its scripts.
func interfaces(w *writer) {
	var b strings.Builder
	b.WriteString(head + "auto lo\niface lo inet loopback\n")
	if w.plan.Way == Ifupdown {
		// Whoever wants more puts it there; what speaks for our cards goes.
		b.WriteString("\nsource /etc/network/interfaces.d/*\n")
		w.aside("/etc/network/interfaces.d/*", func(_, text string) bool { return !w.speaksForOurs(text) })
	}
	for _, c := range w.cards {
		w.stanzas(&b, c)
	}
	w.replace("/etc/network/interfaces", b.String(), 0o644)
	w.rename(true)
	w.needDHCP()
	if w.plan.Way == Alpine && guestos.Has(w.t, "/etc/init.d/networking") {
		w.link("/etc/runlevels/boot/networking", "/etc/init.d/networking")
	}
	if !guestos.Program(w.t, "resolvconf") {
		w.resolver()
	}
}

// speaksForOurs tells whether a file has a stanza of one of the cards, or of all.
func (w *writer) speaksForOurs(text string) bool {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "iface" && f[0] != "auto" && f[0] != "allow-hotplug" {
			continue
		}
		for _, c := range w.cards {
			if f[1] == c.name || strings.ContainsAny(f[1], "*?") {
				return true
			}
		}
		if strings.Contains(text, "control-alias") || strings.HasPrefix(f[1], "en") {
			return true
		}
	}
	return false
}

func (w *writer) stanzas(b *strings.Builder, c card) {
	line := func(format string, args ...any) { fmt.Fprintf(b, format+"\n", args...) }
	line("\nauto %s", c.name)
	told := false // servers and MTU stand once
	begin := func(family, method string) {
		line("iface %s %s %s", c.name, family, method)
		if told {
			return
		}
		told = true
		if c.MTU > 0 {
			line("    pre-up ip link set dev %s mtu %d", c.name, c.MTU)
		}
		if len(c.DNS) > 0 {
			line("    dns-nameservers %s", join(c.DNS, " "))
		}
		if len(c.Search) > 0 {
			line("    dns-search %s", strings.Join(c.Search, " "))
		}
	}
	fixed := func(six bool) {
		list := c.of(six)
		family, length := "inet", mask(list[0])
		if six {
			family, length = "inet6", fmt.Sprint(list[0].Bits())
		}
		begin(family, "static")
		line("    address %s\n    netmask %s", list[0].Addr(), length)
		if c.deaf() && six && w.plan.Way == Ifupdown {
			line("    accept_ra 0")
		}
		w.extra(line, c, six, 1)
	}
	if c.DHCP4 {
		begin("inet", "dhcp")
		w.extra(line, c, false, 0)
	} else if len(c.of(false)) > 0 {
		fixed(false)
	}
	switch {
	case c.DHCP6 && w.plan.Way == Ifupdown:
		begin("inet6", "dhcp")
		w.extra(line, c, true, 0)
	case c.SLAAC || c.DHCP6:
		if c.DHCP6 {
			w.warn("DHCPv6 is not known to the ifup of this guest: " + c.name + " gets what routers advertise")
		}
		if w.plan.Way == Alpine { // busybox knows no "auto", and refuses the whole file for one; the kernel listens by itself
			begin("inet6", "manual")
			line("    up ip link set dev %s up", c.name)
		} else {
			begin("inet6", "auto")
		}
		w.extra(line, c, true, 0)
	case len(c.of(true)) > 0:
		fixed(true)
	}
	if !told {
		begin("inet", "manual")
	}
}

// extra writes the addresses of a family from the one numbered from on, and its
// routes.
func (w *writer) extra(line func(string, ...any), c card, six bool, from int) {
	ip := map[bool]string{false: "ip", true: "ip -6"}[six]
	for i, a := range c.of(six) {
		if i >= from {
			line("    up %s addr add %s dev %s", ip, a, c.name)
		}
	}
	for _, r := range c.routes(six) {
		if isDefault(r.To) && from > 0 && !c.onLink(r.Via) {
			line("    gateway %s", r.Via)
			continue
		}
		text := fmt.Sprintf("    up %s route add %s via %s dev %s", ip, r.To, r.Via, c.name)
		if isDefault(r.To) {
			text = fmt.Sprintf("    up %s route add default via %s dev %s", ip, r.Via, c.name)
		}
		if r.Metric > 0 {
			text += fmt.Sprintf(" metric %d", r.Metric)
		}
		if c.onLink(r.Via) {
			text += " onlink"
		}
		line("%s", text)
	}
}
