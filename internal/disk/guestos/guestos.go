// Package guestos says what system lies in a guest's file system: distribution,
// kernels, boot loader, init. It reads, and believes nothing that it could count.
package guestos

import (
	"strconv"
	"strings"
)

// Files is what is read of a guest, such as [guestfs.Tree]. Names are absolute,
// links lead no further than the guest's root. What is not there is fs.ErrNotExist.
type Files interface {
	ReadFile(name string, limit int64) ([]byte, error)
	ReadDir(name string) ([]string, error)
	Glob(pattern string) ([]string, error)
}

// Family is the way of a distribution to keep its settings.
type Family string

// The families that are told apart.
const (
	Debian  Family = "debian"
	RedHat  Family = "redhat"
	SUSE    Family = "suse"
	Gentoo  Family = "gentoo"
	Arch    Family = "arch"
	Alpine  Family = "alpine"
	Unknown Family = ""
)

// OS is what a guest's system says of itself.
type OS struct {
	ID      string `json:"id"`      // of os-release, "debian"
	Name    string `json:"name"`    // for people
	Version string `json:"version"` // "12"
	Family  Family `json:"family"`
	Init    string `json:"init"` // "systemd", "openrc", "sysv", "runit", "busybox"; "" if it is not known
	Arch    string `json:"arch"` // of its programs, "x86_64"; "" if it is not known
}

const maxText = 1 << 20

// Identify reads os-release, or what older systems have in its place. It is nil
// when nothing says what it is.
func Identify(t Files) *OS {
	os := fromRelease(t)
	if os == nil {
		os = fromOlder(t)
	}
	if os == nil {
		return nil
	}
	os.Init, os.Arch = initOf(t), archOf(t)
	return os
}

func fromRelease(t Files) *OS {
	for _, name := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		b, err := t.ReadFile(name, maxText)
		if err != nil {
			continue
		}
		v := Variables(string(b))
		if v["ID"] == "" && v["NAME"] == "" {
			continue
		}
		return &OS{ID: v["ID"], Name: first(v["PRETTY_NAME"], v["NAME"], v["ID"]), Version: v["VERSION_ID"], Family: family(v["ID"] + " " + v["ID_LIKE"])}
	}
	return nil
}

// older systems have a file of their own with a line in it.
func fromOlder(t Files) *OS {
	for _, o := range []struct {
		name, id, title string
		family          Family
	}{{"/etc/gentoo-release", "gentoo", "", Gentoo}, {"/etc/SuSE-release", "suse", "", SUSE}, {"/etc/redhat-release", "rhel", "", RedHat},
		{"/etc/alpine-release", "alpine", "Alpine Linux ", Alpine}, {"/etc/arch-release", "arch", "Arch Linux ", Arch}, {"/etc/debian_version", "debian", "Debian ", Debian}} {
		b, err := t.ReadFile(o.name, maxText)
		if err != nil {
			continue
		}
		line, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
		return &OS{ID: o.id, Name: strings.TrimSpace(o.title + line), Version: number(line), Family: o.family}
	}
	return nil
}

// number is the first word of a line that begins with a digit.
func number(line string) string {
	for w := range strings.FieldsSeq(line) {
		if w[0] >= '0' && w[0] <= '9' {
			return w
		}
	}
	return ""
}

func first(words ...string) string {
	for _, w := range words {
		if w != "" {
			return w
		}
	}
	return ""
}

// family finds the first known word of ID and ID_LIKE.
func family(ids string) Family {
	for id := range strings.FieldsSeq(strings.ToLower(ids)) {
		switch id {
		case "debian", "ubuntu", "devuan", "linuxmint", "kali", "raspbian":
			return Debian
		case "rhel", "fedora", "centos", "rocky", "almalinux", "ol", "amzn":
			return RedHat
		case "suse", "opensuse", "sles", "opensuse-leap", "opensuse-tumbleweed", "sled":
			return SUSE
		case "gentoo":
			return Gentoo
		case "arch", "archarm", "manjaro":
			return Arch
		case "alpine":
			return Alpine
		}
	}
	return Unknown
}

// Variables reads lines NAME=VALUE as a shell would, as far as os-release(5)
// and /etc/conf.d go: quotes are taken off, nothing is expanded.
func Variables(text string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		name, value, ok := strings.Cut(line, "=")
		if !ok || strings.HasPrefix(line, "#") || strings.ContainsAny(name, " \t") {
			continue
		}
		if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
			quote := value[0]
			value = value[1 : n-1]
			if quote == '"' {
				value = strings.NewReplacer(`\"`, `"`, `\\`, `\`, `\$`, `$`, "\\`", "`").Replace(value)
			}
		}
		all[name] = value
	}
	return all
}

// SetVariable has one line NAME="value" in such a text, in place of the first that there was
// and without the others, or at the end. The value has no quotes.
func SetVariable(text, name, value string) string {
	line := name + `="` + value + `"` + "\n"
	var out strings.Builder
	done := false
	for l := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(l), name+"=") {
			if !done {
				out.WriteString(line)
			}
			done = true
			continue
		}
		out.WriteString(l)
	}
	if !done {
		if s := out.String(); s != "" && !strings.HasSuffix(s, "\n") {
			out.WriteString("\n")
		}
		out.WriteString(line)
	}
	return out.String()
}

// Has tells whether one of the names is there; names may be patterns.
func Has(t Files, patterns ...string) bool {
	for _, p := range patterns {
		if found, err := t.Glob(p); err == nil && len(found) > 0 {
			return true
		}
	}
	return false
}

// Program tells whether one of the programs is there, where programs are.
func Program(t Files, names ...string) bool {
	for _, n := range names {
		for _, dir := range []string{"/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/", "/usr/local/sbin/", "/usr/local/bin/"} {
			if Has(t, dir+n) {
				return true
			}
		}
	}
	return false
}

func initOf(t Files) string {
	switch {
	case Has(t, "/lib/systemd/systemd", "/usr/lib/systemd/systemd"):
		return "systemd"
	case Program(t, "openrc-run", "openrc"):
		return "openrc"
	case Program(t, "runit-init", "runit"):
		return "runit"
	case Has(t, "/etc/rc.d/rc.sysinit", "/etc/init.d/rcS", "/etc/rc2.d"):
		return "sysv"
	case Has(t, "/etc/inittab") && Program(t, "busybox"):
		return "busybox"
	}
	return ""
}

// archOf reads the ELF header of a program that all have.
func archOf(t Files) string {
	for _, name := range []string{"/bin/sh", "/bin/busybox", "/usr/bin/env"} {
		b, err := t.ReadFile(name, 64<<20)
		if err != nil || len(b) < 20 || string(b[:4]) != "\x7fELF" {
			continue
		}
		switch b[18] {
		case 0x3e:
			return "x86_64"
		case 3:
			return "i686"
		case 0xb7:
			return "aarch64"
		case 0xf3:
			return "riscv64"
		}
		return "ELF machine " + strconv.Itoa(int(b[18]))
	}
	return ""
}
