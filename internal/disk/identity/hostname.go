// Package identity writes who a guest is into its files, in the way of each
// distribution: its name for now.
package identity

import (
	"slices"
	"strings"

	"hearth/internal/disk/guestos"
)

// Change is a file as it is to be. Its owner and mode stay, or are root's and
// 0644 if it is new.
type Change struct {
	Path string
	Data []byte
}

const (
	maxFile     = 1 << 20
	maxHostname = 64 // of Linux (HOST_NAME_MAX): systemd takes no longer one, and calls the guest localhost
)

// Host is a name as it can be written: Short is the first label, FQDN all of
// them, or Short again.
type Host struct{ Short, FQDN string }

// ParseHost makes of any name one that a guest takes: of a foreign name stays
// what RFC 1123 allows, spaces and underscores become hyphens, and of a name of
// which nothing stays it is "guest". It takes any number of labels.
func ParseHost(name string) Host {
	var labels []string
	for label := range strings.SplitSeq(strings.ToLower(name), ".") {
		label = strings.Map(func(r rune) rune {
			switch {
			case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-':
				return r
			case r == ' ' || r == '_':
				return '-'
			}
			return -1
		}, label)
		label = strings.Trim(label, "-")
		if label = strings.TrimRight(label[:min(len(label), 63)], "-"); label != "" {
			labels = append(labels, label)
		}
	}
	if len(labels) == 0 {
		labels = []string{"guest"}
	}
	for len(strings.Join(labels, ".")) > 253 {
		labels = labels[:len(labels)-1]
	}
	return Host{labels[0], strings.Join(labels, ".")}
}

// SetHostname gives what is to change in a guest of a family for it to have the
// name, whatever name it has now: only files that are not so already. Files of
// other ways than the family's are changed where they are there.
func SetHostname(t guestos.Files, family guestos.Family, name string) []Change {
	w := &writer{t: t, host: ParseHost(name)}
	w.old = w.oldNames()
	main := "/etc/hostname"
	switch {
	case family == guestos.Gentoo && w.has("/etc/conf.d/hostname"):
		main = "/etc/conf.d/hostname"
	case family == guestos.SUSE && w.has("/etc/HOSTNAME") && !w.has("/etc/hostname"):
		main = "/etc/HOSTNAME"
	case family == guestos.RedHat && !w.has("/etc/hostname") && strings.Contains(w.read("/etc/sysconfig/network"), "HOSTNAME="):
		main = "/etc/sysconfig/network"
	}
	own := w.host.Short
	if (family == guestos.RedHat || family == guestos.SUSE) && len(w.host.FQDN) <= maxHostname { // these keep the whole name
		own = w.host.FQDN
	}
	for _, file := range []struct{ path, key string }{{"/etc/hostname", ""}, {"/etc/HOSTNAME", ""}, {"/etc/conf.d/hostname", "hostname"}, {"/etc/sysconfig/network", "HOSTNAME"}} {
		if file.path != main && !w.has(file.path) {
			continue
		}
		now := w.read(file.path)
		switch {
		case file.key == "":
			w.put(file.path, own+"\n")
		case file.path == main || strings.Contains(now, file.key+"="):
			w.put(file.path, guestos.SetVariable(now, file.key, own))
		}
	}
	loopback := "127.0.1.1"
	if family == guestos.SUSE {
		loopback = "127.0.0.2"
	}
	w.put("/etc/hosts", w.hosts(loopback))
	return w.changes
}

type writer struct {
	t       guestos.Files
	host    Host
	old     []string
	changes []Change
}

func (w *writer) read(name string) string {
	b, err := w.t.ReadFile(name, maxFile)
	if err != nil {
		return ""
	}
	return string(b)
}

func (w *writer) has(name string) bool { return guestos.Has(w.t, name) }

func (w *writer) put(name, text string) {
	if !w.has(name) || w.read(name) != text {
		w.changes = append(w.changes, Change{name, []byte(text)})
	}
}

// oldNames are those that the guest has now, in full and short.
func (w *writer) oldNames() (names []string) {
	add := func(name string) {
		if name = strings.TrimSpace(name); name == "" || strings.HasPrefix(name, "localhost") {
			return
		}
		short, _, _ := strings.Cut(name, ".")
		names = append(names, name, short)
	}
	for _, file := range []string{"/etc/hostname", "/etc/HOSTNAME"} {
		for line := range strings.Lines(w.read(file)) {
			if !strings.HasPrefix(line, "#") {
				add(line)
			}
		}
	}
	add(guestos.Variables(w.read("/etc/conf.d/hostname"))["hostname"])
	add(guestos.Variables(w.read("/etc/sysconfig/network"))["HOSTNAME"])
	return names
}

// hosts is /etc/hosts with the new name in place of the old ones on addresses of
// the machine itself. What other lines say stays.
func (w *writer) hosts(loopback string) string {
	names := []string{w.host.FQDN}
	if w.host.Short != w.host.FQDN {
		names = append(names, w.host.Short)
	}
	var out []string
	last, named := -1, false
	text := w.read("/etc/hosts")
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		entry, comment, _ := strings.Cut(line, "#")
		f := strings.Fields(entry)
		if len(f) > 1 && own(f[0]) {
			last = len(out)
			kept := slices.DeleteFunc(slices.Clone(f[1:]), func(n string) bool { return slices.Contains(w.old, n) || slices.Contains(names, n) })
			if len(kept) < len(f)-1 || f[0] == loopback {
				if f[0] == loopback { // the guest's own names and nothing else are here
					kept = nil
				}
				line = join(f[0], append(slices.Clone(names), kept...), comment)
				named = true
			}
		}
		out = append(out, line)
	}
	if text == "" {
		out, last = []string{"127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"}, 0
	}
	if !named {
		out = slices.Insert(out, last+1, join(loopback, names, ""))
	}
	return strings.Join(out, "\n") + "\n"
}

// own tells whether an address is the machine itself.
func own(address string) bool { return strings.HasPrefix(address, "127.") || address == "::1" }

func join(address string, names []string, comment string) string {
	line := address + "\t" + strings.Join(names, " ")
	if comment != "" {
		line += " #" + comment
	}
	return line
}
