package netconf

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"

	"hearth/internal/disk/guestos"
)

const (
	maxFile = 1 << 20
	head    = "# Written by Hearth. What was here before is below " + before + ".\n"
	before  = "/var/lib/hearth/before"
)

// writer gathers the changes of one guest.
type writer struct {
	t     guestos.Files
	os    *guestos.OS
	cards []card
	plan  *Plan
}

func (w *writer) warn(text string) { w.plan.Warnings = append(w.plan.Warnings, text) }

func (w *writer) read(name string) string {
	b, err := w.t.ReadFile(name, maxFile)
	if err != nil {
		return ""
	}
	return string(b)
}

// put plans a file unless it is so already.
func (w *writer) put(name, text string, mode uint32) {
	if b, err := w.t.ReadFile(name, maxFile); err == nil && string(b) == text {
		return
	}
	w.plan.Files = append(w.plan.Files, File{Path: name, Data: []byte(text), Mode: mode})
}

// replace is put for a file that somebody else has written: it is put aside.
func (w *writer) replace(name, text string, mode uint32) {
	if b, err := w.t.ReadFile(name, maxFile); err == nil && !strings.HasPrefix(string(b), head) {
		w.put(before+name, string(b), 0o600)
	}
	w.put(name, text, mode)
}

// link plans a symbolic link unless something has its name.
func (w *writer) link(name, target string) {
	if !guestos.Has(w.t, name) {
		w.plan.Files = append(w.plan.Files, File{Path: name, Link: target})
	}
}

// aside puts files away that would speak for the same cards, but for those that
// keep names.
func (w *writer) aside(pattern string, keep func(name, text string) bool) {
	found, err := w.t.Glob(pattern)
	if err != nil {
		return
	}
	slices.Sort(found)
	for _, name := range found {
		b, err := w.t.ReadFile(name, maxFile)
		if err != nil || keep(path.Base(name), string(b)) {
			continue
		}
		w.put(before+name, string(b), 0o600)
		w.plan.Files = append(w.plan.Files, File{Path: name, Gone: true})
	}
}

// rename has udev give the cards their names, for ways that know cards by name.
// Old versions of udev and those of today read such rules alike.
func (w *writer) rename(always bool) {
	if !guestos.Has(w.t, "/etc/udev", "/lib/udev", "/usr/lib/udev") { // such as mdev: the kernel's names stay
		return
	}
	var b strings.Builder
	for _, c := range w.cards {
		switch {
		case c.any && always:
			b.WriteString(`SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{type}=="1", NAME="` + c.name + "\"\n")
		case c.MAC != "" && (always || c.given):
			b.WriteString(`SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{address}=="` + c.MAC + `", NAME="` + c.name + "\"\n")
		}
	}
	if b.Len() > 0 {
		w.put("/etc/udev/rules.d/70-persistent-net-hearth.rules", "# Written by Hearth: the names of the network cards.\n"+b.String(), 0o644)
	}
}

// resolver writes /etc/resolv.conf where nothing in the guest does it. The C
// library reads three servers and no more.
func (w *writer) resolver() {
	if w.resolved() {
		return
	}
	dns, search := w.dns()
	if len(dns)+len(search) == 0 {
		return
	}
	text := "# Written by Hearth.\n"
	if len(search) > 0 {
		text += "search " + strings.Join(search, " ") + "\n"
	}
	for _, a := range dns[:min(len(dns), 3)] {
		text += "nameserver " + a.String() + "\n"
	}
	w.put("/etc/resolv.conf", text, 0o644)
}

// resolved tells whether systemd-resolved answers in this guest.
func (w *writer) resolved() bool {
	return guestos.Has(w.t, "/lib/systemd/systemd-resolved", "/usr/lib/systemd/systemd-resolved") &&
		(enabled(w.t, "systemd-resolved") || guestos.Has(w.t, "/etc/systemd/system/dbus-org.freedesktop.resolve1.service"))
}

// dns gives the servers and domains of all cards.
func (w *writer) dns() (servers []netip.Addr, search []string) {
	for _, c := range w.cards {
		for _, a := range c.DNS {
			if !slices.Contains(servers, a) {
				servers = append(servers, a)
			}
		}
		for _, s := range c.Search {
			if !slices.Contains(search, s) {
				search = append(search, s)
			}
		}
	}
	return servers, search
}

// keepFromCloudInit keeps cloud-init, if it is there, from writing over this; what
// it wrote before goes.
func (w *writer) keepFromCloudInit() {
	if guestos.Has(w.t, "/etc/cloud/cloud.cfg") {
		w.put("/etc/cloud/cloud.cfg.d/99-hearth-network.cfg", "# Written by Hearth: the network is what the files of this guest say.\nnetwork: {config: disabled}\n", 0o644)
	}
}

// assign sets variables in the text of a file that a shell reads, each in its
// own place.
func assign(text string, values ...string) string {
	for i := 0; i+1 < len(values); i += 2 {
		text = guestos.SetVariable(text, values[i], values[i+1])
	}
	return text
}

// join writes a list of anything that has a text.
func join[T fmt.Stringer](list []T, between string) string {
	texts := make([]string, len(list))
	for i, v := range list {
		texts[i] = v.String()
	}
	return strings.Join(texts, between)
}

// mask is the length of a network as IPv4 of old wrote it.
func mask(p netip.Prefix) string {
	bits := ^uint32(0)
	if p.Bits() < 32 {
		bits = ^(^uint32(0) >> p.Bits())
	}
	return netip.AddrFrom4([4]byte{byte(bits >> 24), byte(bits >> 16), byte(bits >> 8), byte(bits)}).String()
}

// isDefault tells whether a network is all there is.
func isDefault(p netip.Prefix) bool { return p.Bits() == 0 }
