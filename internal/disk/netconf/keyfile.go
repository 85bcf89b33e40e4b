package netconf

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/google/uuid"
)

// keyfile writes connections of NetworkManager (nm-settings-keyfile(5)). They
// come before others of the same card by their priority: cloud-init's have 120, in
// RedHat 9.0 the highest.
func keyfile(w *writer) {
	for _, c := range w.cards {
		w.put("/etc/NetworkManager/system-connections/hearth-"+c.name+".nmconnection", connection(c), 0o600)
		for _, six := range []bool{false, true} {
			if dns := c.servers(six); len(dns) > 0 && !c.speaks(six) {
				w.warn(fmt.Sprintf("DNS servers %s were left out: NetworkManager takes those of %s only where the card %s has an address of it", join(dns, ", "), map[bool]string{false: "IPv4", true: "IPv6"}[six], c.name))
			}
		}
	}
	w.rename(false)
}

func connection(c card) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	b.WriteString("# Written by Hearth.\n")
	line("[connection]\nid=hearth-%s\nuuid=%s\ntype=ethernet\nautoconnect-priority=999", c.name, uuid.NewSHA1(uuid.NameSpaceOID, []byte("hearth/netconf/"+c.name)))
	if c.MAC == "" && !c.any {
		line("interface-name=%s", c.name)
	}
	line("\n[ethernet]")
	if c.MAC != "" {
		line("mac-address=%s", strings.ToUpper(c.MAC))
	}
	if c.MTU > 0 {
		line("mtu=%d", c.MTU)
	}
	line("\n[ipv4]")
	switch {
	case c.DHCP4:
		line("method=auto")
	case len(c.of(false)) > 0:
		line("method=manual")
	default:
		line("method=disabled")
	}
	keyfileFamily(line, c, false)
	line("\n[ipv6]")
	switch {
	case c.SLAAC:
		line("method=auto")
	case c.DHCP6:
		line("method=dhcp")
	case len(c.of(true)) > 0:
		line("method=manual")
	default:
		line("method=link-local")
	}
	keyfileFamily(line, c, true)
	return b.String()
}

// keyfileFamily writes what both families have in the same form. Search domains
// stand with IPv4 if there is any. A connection with servers or domains of a family
// that it does not speak is invalid as a whole (verify of nm-setting-ip4-config.c).
func keyfileFamily(line func(string, ...any), c card, six bool) {
	for i, a := range c.of(six) {
		line("address%d=%s", i+1, a)
	}
	gateway := map[bool]netip.Addr{false: c.Gateway4, true: c.Gateway6}[six]
	if gateway.IsValid() {
		line("gateway=%s", gateway)
	}
	for i, r := range c.further(six) {
		text := fmt.Sprintf("route%d=%s,%s", i+1, r.To, r.Via)
		if r.Metric > 0 {
			text += fmt.Sprintf(",%d", r.Metric)
		}
		line("%s", text)
	}
	if !c.speaks(six) {
		return
	}
	if dns := c.servers(six); len(dns) > 0 {
		line("dns=%s;", join(dns, ";"))
	}
	if len(c.Search) > 0 && six == !c.speaks(false) {
		line("dns-search=%s;", strings.Join(c.Search, ";"))
	}
}
