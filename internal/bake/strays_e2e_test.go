package bake

import (
	"context"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hearth/internal/bake/recipe"
	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
)

// stanzas reads dpkg's status file: the fields of each package that is installed, by
// name. A virtual package has the name of those that provide it too.
func stanzas(status string) (all map[string]map[string]string, provides map[string][]string) {
	all, provides = map[string]map[string]string{}, map[string][]string{}
	for stanza := range strings.SplitSeq(status, "\n\n") {
		fields := map[string]string{}
		for line := range strings.Lines(stanza) {
			if name, value, ok := strings.Cut(line, ": "); ok && line[0] != ' ' {
				fields[name] = strings.TrimSpace(value)
			}
		}
		if !strings.HasSuffix(fields["Status"], " installed") {
			continue
		}
		all[fields["Package"]] = fields
		for _, p := range named(fields["Provides"]) {
			provides[p] = append(provides[p], fields["Package"])
		}
	}
	return all, provides
}

var besidesName = regexp.MustCompile(`\([^)]*\)|\[[^]]*\]|:[a-z0-9]+`)

// named lists the packages of a relation, alternatives and all.
func named(relation string) (list []string) {
	for _, p := range regexp.MustCompile(`[,|]`).Split(besidesName.ReplaceAllString(relation, ""), -1) {
		if p = strings.TrimSpace(p); p != "" {
			list = append(list, p)
		}
	}
	return list
}

// strays are the installed packages that neither belong to every Debian nor are needed, at
// run time, by those that were asked for.
func strays(status string, asked ...string) (list []string) {
	all, provides := stanzas(status)
	for name, fields := range all {
		if fields["Essential"] == "yes" || fields["Priority"] == "required" || name == "apt" {
			asked = append(asked, name)
		}
	}
	needed := map[string]bool{}
	for len(asked) > 0 {
		name, _, _ := strings.Cut(asked[0], "=")
		asked = asked[1:]
		for _, n := range append([]string{name}, provides[name]...) {
			if fields := all[n]; fields != nil && !needed[n] {
				needed[n] = true
				asked = append(asked, append(named(fields["Depends"]), named(fields["Pre-Depends"])...)...)
			}
		}
	}
	for name := range all {
		if !needed[name] {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// TestStrays holds the check itself against a status file that has some.
func TestStrays(t *testing.T) {
	const status = `Package: base-files
Essential: yes
Status: install ok installed

Package: web
Status: install ok installed
Depends: libweb (>= 2), mta | none, perl:any

Package: libweb
Status: install ok installed
Description: long
 Depends: gcc

Package: postfix
Provides: mta (= 3)
Status: install ok installed
Pre-Depends: base-files

Package: perl
Status: install ok installed

Package: gcc
Status: install ok installed

Package: libweb-dev
Status: install ok installed
Depends: libweb

Package: gone
Status: deinstall ok config-files
`
	if got := strings.Join(strays(status, "web=2"), " "); got != "gcc libweb-dev" {
		t.Error(got)
	}
}

// TestNoBuildDependencies looks into the image of the scaffold: it has what the recipe
// names, what that needs at run time, and nothing else; no compiler and no headers, whoever
// asked for them.
func TestNoBuildDependencies(t *testing.T) {
	needAll(t)
	dir := t.TempDir()
	if _, err := recipe.Scaffold("debian", dir); err != nil {
		t.Fatal(err)
	}
	r, err := recipe.Load(filepath.Join(dir, "recipe.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	res := runLogged(t, r, filepath.Join(dir, "out"))
	d, err := guestfs.Open(context.Background(), &disk.Runner{}, []disk.Layer{{Path: res.Disk, Format: disk.QCOW2}}, guestfs.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	tree, err := d.Tree()
	if err != nil {
		t.Fatal(err)
	}
	status, err := tree.ReadFile("/var/lib/dpkg/status", 16<<20)
	if err != nil {
		t.Fatal(err)
	}
	all, _ := stanzas(string(status))
	t.Logf("%d packages are installed", len(all))
	if len(all) < 100 || all["openssh-server"] == nil {
		t.Error("this is not the list of the image's packages")
	}
	if left := strays(string(status), append(r.Packages.Install, "linux-image-cloud-amd64", "initramfs-tools", "zstd")...); len(left) > 0 {
		t.Errorf("nothing needs %v", left)
	}
	builds := regexp.MustCompile(`^(gcc|gcc-[0-9]+|g\+\+.*|cpp.*|make|cmake|binutils|build-essential|dpkg-dev|fakeroot|mmdebstrap|debootstrap|linux-headers.*|.*-dev)$`)
	for name := range all {
		if builds.MatchString(name) {
			t.Errorf("%s is in the image", name)
		}
	}
	for _, name := range []string{"/usr/bin/gcc", "/usr/bin/cc", "/usr/bin/make", "/usr/include/stdio.h"} {
		if _, err := tree.ReadFile(name, 1<<20); err == nil {
			t.Errorf("%s is in the image", name)
		}
	}
}
