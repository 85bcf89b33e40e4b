// Package sbom says what an image has in it: a bill of materials in SPDX 2.3, the
// list of the source packages, and a report of the licences. It reads what package
// managers have left in the tree: dpkg's status and copyright files, apk's database,
// portage's. rpm's is a database of its own that is not read; the bill says so.
//
// Source of the form: https://spdx.github.io/spdx-spec/v2.3/ .
package sbom

import (
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// Package is one that is installed.
type Package struct {
	Manager  string // dpkg, apk or portage: the type of its package URL
	Distro   string // whose package it is, if not the image's own: ID of os-release
	Name     string
	Version  string
	Arch     string
	Source   string   // name of the source package
	SourceV  string   // and its version
	Homepage string   // "" if it is not known
	Licences []string // as the package says
}

// List is what a tree has.
type List struct {
	Image    string
	Distro   string // ID of os-release
	Created  time.Time
	Packages []Package
	Unread   []string // databases that are there and were not read
}

// maxFile bounds a file of the tree that is read, bytes.
const maxFile = 64 << 20

// Read looks into a tree. What cannot be read is as if it were not there.
func Read(tree fs.FS, image string, now time.Time) *List {
	l := &List{Image: image, Created: now, Distro: distro(tree)}
	l.dpkg(tree)
	l.apk(tree)
	l.portage(tree)
	for _, name := range []string{"var/lib/rpm/rpmdb.sqlite", "var/lib/rpm/Packages", "usr/lib/sysimage/rpm/rpmdb.sqlite", "usr/lib/sysimage/rpm/Packages.db"} {
		if _, err := fs.Stat(tree, name); err == nil {
			l.Unread = append(l.Unread, "/"+name)
		}
	}
	slices.SortFunc(l.Packages, func(a, b Package) int {
		return strings.Compare(a.Manager+" "+a.Name+" "+a.Arch+" "+a.Version, b.Manager+" "+b.Name+" "+b.Arch+" "+b.Version)
	})
	return l
}

func text(tree fs.FS, name string) string {
	st, err := fs.Stat(tree, name)
	if err != nil || !st.Mode().IsRegular() || st.Size() > maxFile {
		return ""
	}
	b, _ := fs.ReadFile(tree, name)
	return string(b)
}

func distro(tree fs.FS) string {
	for _, name := range []string{"etc/os-release", "usr/lib/os-release"} {
		for l := range strings.Lines(text(tree, name)) {
			if v, ok := strings.CutPrefix(l, "ID="); ok {
				return strings.Trim(strings.TrimSpace(v), `"'`)
			}
		}
	}
	return "linux"
}

// stanzas reads paragraphs of KEY SEPARATOR VALUE, without folded lines.
func stanzas(s, separator string) (all []map[string]string) {
	one := map[string]string{}
	for l := range strings.SplitSeq(s+"\n", "\n") {
		if strings.TrimSpace(l) == "" {
			if len(one) > 0 {
				all, one = append(all, one), map[string]string{}
			}
			continue
		}
		if k, v, ok := strings.Cut(l, separator); ok && l[0] != ' ' && l[0] != '\t' {
			one[k] = strings.TrimSpace(v)
		}
	}
	if len(one) > 0 {
		all = append(all, one)
	}
	return all
}

// dpkg reads /var/lib/dpkg/status. Source: deb-control(5), dpkg(1).
func (l *List) dpkg(tree fs.FS) {
	for _, s := range stanzas(text(tree, "var/lib/dpkg/status"), ":") {
		if s["Package"] == "" || !strings.HasSuffix(s["Status"], " installed") {
			continue
		}
		l.Packages = append(l.Packages, debian(s, text(tree, path.Join("usr/share/doc", s["Package"], "copyright"))))
	}
}

// Deb is a package of Debian by its control file (deb-control(5)) and its copyright: for
// what is unpacked into an image that has no database of packages.
func Deb(control, copyright string) (p Package, ok bool) {
	all := stanzas(control, ":")
	if len(all) == 0 {
		return p, false
	}
	p = debian(all[0], copyright)
	p.Distro = "debian"
	return p, p.Name != ""
}

func debian(s map[string]string, licence string) Package {
	p := Package{Manager: "deb", Name: s["Package"], Version: s["Version"], Arch: s["Architecture"], Homepage: s["Homepage"], Source: s["Package"], SourceV: s["Version"]}
	if name, version, ok := strings.Cut(s["Source"], " "); name != "" {
		if p.Source = name; ok {
			p.SourceV = strings.Trim(version, "()")
		}
	}
	p.Licences = copyright(licence)
	return p
}

// copyright finds the short names of licences in a copyright file: those of its
// License fields, or of the common licences that the text names.
// Source: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/ .
func copyright(s string) (list []string) {
	machine := strings.Contains(s, "copyright-format")
	for line := range strings.Lines(s) {
		if v, ok := strings.CutPrefix(line, "License:"); ok && machine {
			list = append(list, strings.TrimSpace(v))
		}
		for rest := line; !machine; {
			_, after, ok := strings.Cut(rest, "/usr/share/common-licenses/")
			if !ok {
				break
			}
			rest = after
			name := strings.TrimRight(after[:len(after)-len(strings.TrimLeft(after, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-"))], ".-")
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return slices.DeleteFunc(slices.Compact(list), func(s string) bool { return s == "" })
}

// apk reads Alpine's /lib/apk/db/installed. Source: the wiki's "Apk spec".
func (l *List) apk(tree fs.FS) {
	for _, s := range stanzas(text(tree, "lib/apk/db/installed"), ":") {
		if s["P"] == "" {
			continue
		}
		p := Package{Manager: "apk", Name: s["P"], Version: s["V"], Arch: s["A"], Homepage: s["U"], Source: s["o"], SourceV: s["V"]}
		if p.Source == "" {
			p.Source = p.Name
		}
		if s["L"] != "" {
			p.Licences = []string{s["L"]}
		}
		l.Packages = append(l.Packages, p)
	}
}

// portage reads Gentoo's /var/db/pkg/CATEGORY/NAME-VERSION/. Source: portage(5).
func (l *List) portage(tree fs.FS) {
	found, _ := fs.Glob(tree, "var/db/pkg/*/*")
	for _, dir := range found {
		name, version := splitVersion(path.Base(dir))
		if version == "" || strings.HasPrefix(path.Base(dir), "-MERGING-") {
			continue
		}
		p := Package{Manager: "ebuild", Name: path.Base(path.Dir(dir)) + "/" + name, Version: version, Homepage: strings.TrimSpace(text(tree, dir+"/HOMEPAGE")), SourceV: version}
		p.Source = p.Name
		p.Homepage, _, _ = strings.Cut(p.Homepage, " ")
		for w := range strings.FieldsSeq(text(tree, dir+"/LICENSE")) {
			if strings.Trim(w, "()|") != "" && !strings.HasSuffix(w, "?") {
				p.Licences = append(p.Licences, w)
			}
		}
		l.Packages = append(l.Packages, p)
	}
}

// splitVersion parts NAME-VERSION[-rN]: the version begins after the last hyphen
// that a digit follows, but for that of the revision.
func splitVersion(s string) (name, version string) {
	for i := len(s) - 1; i > 0; i-- {
		if s[i-1] == '-' && s[i] >= '0' && s[i] <= '9' {
			return s[:i-1], s[i:]
		}
	}
	return s, ""
}
