package netconf

import (
	"strings"

	"hearth/internal/disk/guestos"
)

// Way is how a guest keeps its network.
type Way string

// The ways that can be written.
const (
	Netplan        Way = "netplan"
	Networkd       Way = "systemd-networkd"
	NetworkManager Way = "NetworkManager"
	Ifupdown       Way = "ifupdown" // Debian's
	Ifcfg          Way = "ifcfg"    // RedHat's network-scripts
	SUSE           Way = "suse"     // ifcfg and ifroute as wicked and its elders read them
	Netifrc        Way = "netifrc"  // Gentoo's
	Alpine         Way = "alpine"   // interfaces for busybox or ifupdown-ng
	None           Way = ""
)

// Find tells by what is installed in a guest how it keeps its network; os may be
// nil. Where several are, the one that the distribution gives precedence is meant.
func Find(t guestos.Files, os *guestos.OS) Way {
	has := map[Way]bool{
		Netplan:        guestos.Program(t, "netplan") || guestos.Has(t, "/lib/netplan/generate", "/usr/lib/netplan/generate", "/usr/libexec/netplan/generate"),
		Networkd:       guestos.Has(t, "/lib/systemd/systemd-networkd", "/usr/lib/systemd/systemd-networkd"),
		NetworkManager: guestos.Program(t, "NetworkManager"),
		Ifupdown:       guestos.Program(t, "ifup") && guestos.Has(t, "/etc/network"),
		Ifcfg:          guestos.Has(t, "/etc/sysconfig/network-scripts/ifup-eth"),
		SUSE:           guestos.Has(t, "/etc/sysconfig/network") && !guestos.Has(t, "/etc/sysconfig/network-scripts") && (guestos.Program(t, "wicked") || guestos.Has(t, "/etc/sysconfig/network/config") && guestos.Program(t, "ifup")),
		Netifrc:        guestos.Has(t, "/etc/init.d/net.lo") || guestos.Has(t, "/lib/netifrc", "/usr/lib/netifrc", "/usr/libexec/netifrc"),
	}
	order := []Way{Netplan, Ifupdown, Ifcfg, SUSE, Netifrc, NetworkManager, Networkd}
	if os != nil {
		switch os.Family {
		case guestos.Alpine:
			has[Alpine] = has[Ifupdown]
			order = []Way{Alpine, NetworkManager}
		case guestos.Gentoo:
			order = []Way{Netifrc, NetworkManager, Networkd}
		case guestos.RedHat:
			order = []Way{Ifcfg, NetworkManager, Networkd}
		case guestos.SUSE:
			order = []Way{SUSE, NetworkManager, Networkd}
		case guestos.Arch:
			order = []Way{NetworkManager, Networkd}
		}
		if os.Init != "" && os.Init != "systemd" {
			has[Networkd] = false
		}
	}
	if len(has) > 0 && !has[Netplan] { // what was turned on comes before what lies about
		for _, way := range []Way{Networkd, NetworkManager} {
			if has[way] && enabled(t, serviceOf[way]) && !enabled(t, "networking") && !enabled(t, "wicked") && !enabled(t, "network") {
				return way
			}
		}
	}
	for _, way := range order {
		if has[way] {
			return way
		}
	}
	return None
}

var serviceOf = map[Way]string{Networkd: "systemd-networkd", NetworkManager: "NetworkManager"}

// enabled tells whether systemd starts a service at boot.
func enabled(t guestos.Files, service string) bool {
	if guestos.Has(t, "/etc/systemd/system/*.wants/"+service+".service", "/etc/systemd/system/"+service+".service.d/enabled") {
		return true
	}
	return service == "network" && guestos.Has(t, "/etc/rc3.d/S*network", "/etc/rc.d/rc3.d/S*network")
}

// dhcpClients are programs that ask for an address; ways that bring their own
// are not asked.
func (w *writer) needDHCP() {
	for _, c := range w.cards {
		if !c.DHCP4 && !c.DHCP6 {
			continue
		}
		if !guestos.Program(w.t, "dhclient", "dhcpcd", "udhcpc", "udhcpc6", "pump", "busybox") {
			w.warn(strings.Join([]string{"no DHCP client is installed in this guest:", c.name, "will have no address"}, " "))
		}
		return
	}
}
