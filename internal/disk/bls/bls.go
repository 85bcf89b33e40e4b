// Package bls reads and changes boot menus whose entries are files of their own, one for
// each kernel, as the Boot Loader Specification has them (type 1:
// https://uapi-group.org/specifications/specs/boot_loader_specification/), and has GRUB
// read them on each start. Fedora and its kin have variables of GRUB in them too, which
// lie in GRUB's environment block.
package bls

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// Files is what is read of a guest: names are absolute.
type Files interface {
	ReadFile(name string, limit int64) ([]byte, error)
	Glob(pattern string) ([]string, error)
}

// Folder of the entries below the one that the specification calls $BOOT.
const Folder = "/loader/entries"

const (
	maxText    = 1 << 20 // bytes of one of GRUB's files
	maxEntry   = 64 << 10
	maxEntries = 500 // more are no menu; the others are as if they were not there
)

// boots are the folders that $BOOT may be; the last is that of a file system by itself.
var boots = []string{"/boot", "/boot/efi", "/efi", ""}

// Entry is one of the menu. Paths in it begin at $BOOT, or at the root of its file system.
type Entry struct {
	Path    string   // of the file, in the guest
	ID      string   // its name without the ending; GRUB keeps the chosen one by it
	Boot    string   // folder that is $BOOT: "/boot", "/boot/efi", "/efi", or ""
	Title   string   //
	Version string   // of the kernel; the ID if none is said
	Linux   string   // "" in an entry of an EFI program
	Initrds []string // $variables of GRUB among them
	Options string   // likewise

	lines []string // as they stand in the file
}

// Is tells whether a path is that of an entry.
func Is(name string) bool {
	return strings.HasSuffix(path.Dir(name), Folder) && strings.HasSuffix(name, ".conf")
}

// List reads the entries of the first folder that has some, the newest kernel first.
func List(t Files) (list []*Entry) {
	for _, boot := range boots {
		names, _ := t.Glob(boot + Folder + "/*.conf")
		for _, name := range names[:min(len(names), maxEntries)] {
			if b, err := t.ReadFile(name, maxEntry); err == nil {
				list = append(list, Parse(name, string(b)))
			}
		}
		if len(list) > 0 {
			break
		}
	}
	slices.SortStableFunc(list, func(x, y *Entry) int {
		if c := Compare(y.Version, x.Version); c != 0 {
			return c
		}
		return strings.Compare(y.ID, x.ID)
	})
	return list
}

// Parse reads the entry in a file. Keys that are not known here stay as they are.
func Parse(name, text string) *Entry {
	e := &Entry{Path: name, ID: strings.TrimSuffix(path.Base(name), ".conf"), Boot: strings.TrimSuffix(path.Dir(name), Folder)}
	var options []string
	for line := range strings.Lines(text) {
		e.lines = append(e.lines, line)
		switch key, value := field(line); key {
		case "title":
			e.Title = value
		case "version":
			e.Version = value
		case "linux":
			e.Linux = value
		case "initrd":
			e.Initrds = append(e.Initrds, strings.Fields(value)...)
		case "options":
			options = append(options, value)
		}
	}
	if e.Options = strings.Join(options, " "); e.Version == "" {
		e.Version = e.ID
	}
	return e
}

// field takes a line apart; key is "" in one that says nothing.
func field(line string) (key, value string) {
	line = strings.TrimSpace(line)
	if i := strings.IndexAny(line, " \t"); i >= 0 {
		line, value = line[:i], strings.TrimSpace(line[i:])
	}
	if strings.HasPrefix(line, "#") {
		return "", ""
	}
	return line, value
}

// Text is the file with Linux, Initrds and Options as they are now; all else stays.
func (e *Entry) Text() string {
	now := map[string]string{"linux": e.Linux, "initrd": strings.Join(e.Initrds, " "), "options": e.Options}
	var b strings.Builder
	put := func(key string) {
		if now[key] != "" {
			b.WriteString(key + " " + now[key] + "\n")
		}
		delete(now, key)
	}
	for _, line := range e.lines {
		key, _ := field(line)
		switch _, left := now[key]; {
		case key != "linux" && key != "initrd" && key != "options":
			b.WriteString(strings.TrimRight(line, "\r\n") + "\n")
		case left:
			put(key)
		}
	}
	for _, key := range []string{"linux", "initrd", "options"} {
		put(key)
	}
	return b.String()
}

// Find gives the file in the guest that a path of the entry means, "" if it is not there.
func (e *Entry) Find(t Files, name string) string {
	if name == "" || strings.HasPrefix(name, "$") {
		return ""
	}
	for _, full := range []string{path.Join("/", e.Boot, name), path.Clean("/" + name), path.Join("/boot", name)} {
		if found, err := t.Glob(full); err == nil && len(found) > 0 {
			return full
		}
	}
	return ""
}

// Compare tells which version is newer as the menu does, by GRUB's test -pgt: by the first
// number in which they differ, else by their signs.
func Compare(x, y string) int {
	i := 0
	for i < len(x) && i < len(y) && x[i] == y[i] {
		i++
	}
	for i > 0 && digit(x[i-1]) {
		i--
	}
	m, n := number(x[i:]), number(y[i:])
	return cmp.Or(len(m)-len(n), strings.Compare(m, n), strings.Compare(x, y))
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// number is the one that s begins with, without zeros before it.
func number(s string) string {
	n := 0
	for n < len(s) && digit(s[n]) {
		n++
	}
	return strings.TrimLeft(s[:n], "0")
}
