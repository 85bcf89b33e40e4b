package sbom

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func file(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }

var tree = fstest.MapFS{
	"etc/os-release": file("NAME=x\nID=\"debian\"\n"),
	"var/lib/dpkg/status": file("Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nSource: glibc (2.36-9)\nVersion: 2.36-9+b1\nHomepage: https://gnu.org/x\nDescription: a\n Package: not this\n\n" +
		"Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\nPackage: vim\nStatus: install ok installed\nVersion: 2:9+x\n"),
	"usr/share/doc/libc6/copyright":                         file("see /usr/share/common-licenses/LGPL-2.1. Or\n`/usr/share/common-licenses/GPL-2'."),
	"usr/share/doc/vim/copyright":                           file("Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nLicense: Vim\n text\n\nLicense: GPL-2+ or Artistic-1\nLicense: Vim\n"),
	"lib/apk/db/installed":                                  file("C:Q1\nP:musl\nV:1.2.4-r0\nA:x86_64\nL:MIT\no:musl-src\n\nP:busybox\nV:1\nL:GPL-2.0-only\n"),
	"var/db/pkg/sys-libs/gcc-libs-13.2.1_p2024-r1/LICENSE":  file("GPL-3+ || ( LGPL-2.1+ ssl? ( openssl ) )\n"),
	"var/db/pkg/sys-libs/gcc-libs-13.2.1_p2024-r1/HOMEPAGE": file("https://gcc.gnu.org/ https://b\n"),
	"var/lib/rpm/rpmdb.sqlite":                              file("SQLite"),
}

func TestReadsThreeManagers(t *testing.T) {
	l := Read(tree, "web", time.Unix(0, 0))
	got := map[string]Package{}
	for _, p := range l.Packages {
		got[p.Name] = p
	}
	for name, want := range map[string]string{"libc6": "glibc 2.36-9 GPL-2,LGPL-2.1", "vim": "vim 2:9+x GPL-2+ or Artistic-1,Vim", "musl": "musl-src 1.2.4-r0 MIT", "busybox": "busybox 1 GPL-2.0-only",
		"sys-libs/gcc-libs": "sys-libs/gcc-libs 13.2.1_p2024-r1 GPL-3+,LGPL-2.1+,openssl"} {
		p := got[name]
		if is := p.Source + " " + p.SourceV + " " + strings.Join(p.Licences, ","); is != want {
			t.Errorf("%s: %q, want %q", name, is, want)
		}
	}
	if len(got) != 5 || len(l.Unread) != 1 {
		t.Errorf("%+v", l)
	}
}

// TestDocument holds the document against what SPDX 2.3's schema wants.
func TestDocument(t *testing.T) {
	dir := t.TempDir()
	bill, sources, licence, err := Read(tree, "web", time.Unix(0, 0)).Write(filepath.Join(dir, "web"))
	if err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(bill)
	var d struct {
		SpdxVersion, DataLicense, SPDXID, Name, DocumentNamespace, Comment string
		CreationInfo                                                       struct{ Created string }
		Packages                                                           []struct {
			SPDXID, Name, DownloadLocation, LicenseDeclared, PrimaryPackagePurpose string
			ExternalRefs                                                           []struct{ ReferenceLocator string }
		}
		Relationships              []struct{ SpdxElementID, RelationshipType, RelatedSpdxElement string }
		HasExtractedLicensingInfos []struct{ LicenseID, ExtractedText string }
	}
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	if d.SpdxVersion != "SPDX-2.3" || d.DataLicense != "CC0-1.0" || d.SPDXID != "SPDXRef-DOCUMENT" || d.CreationInfo.Created != "1970-01-01T00:00:00Z" || !strings.Contains(d.Comment, "rpmdb") {
		t.Errorf("%s", b)
	}
	// The text of SPDX 2.3 has a hyphen in it, its JSON schema (schemas/spdx-schema.json, 2.3) has none.
	if got := d.Packages[0].PrimaryPackagePurpose; got != "OPERATING_SYSTEM" {
		t.Errorf("the image's purpose is %s", got)
	}
	ids, refs := map[string]bool{d.SPDXID: true}, map[string]bool{}
	for _, e := range d.HasExtractedLicensingInfos {
		refs[e.LicenseID] = e.ExtractedText != ""
	}
	urls := ""
	for _, p := range d.Packages {
		if ids[p.SPDXID] || !regexp.MustCompile(`^SPDXRef-[a-zA-Z0-9.-]+$`).MatchString(p.SPDXID) || p.DownloadLocation == "" {
			t.Errorf("package %+v", p)
		}
		ids[p.SPDXID] = true
		for id := range strings.SplitSeq(p.LicenseDeclared, " AND ") {
			if !regexp.MustCompile(`^[a-zA-Z0-9.-]+$`).MatchString(id) || strings.HasPrefix(id, "LicenseRef-") && !refs[id] {
				t.Errorf("%s: licence %q", p.Name, id)
			}
		}
		for _, r := range p.ExternalRefs {
			urls += r.ReferenceLocator + "\n"
		}
	}
	for _, r := range d.Relationships {
		if !ids[r.SpdxElementID] || !ids[r.RelatedSpdxElement] {
			t.Errorf("relationship %+v", r)
		}
	}
	if len(d.Packages) != 6 || len(d.Relationships) != 6 || !strings.Contains(urls, "pkg:deb/debian/vim@2%3A9%2Bx\n") || !strings.Contains(urls, "pkg:ebuild/sys-libs/gcc-libs@13.2.1_p2024-r1\n") {
		t.Errorf("%d packages, %d relationships, %s", len(d.Packages), len(d.Relationships), urls)
	}
	s, _ := os.ReadFile(sources)
	r, _ := os.ReadFile(licence)
	if !strings.Contains(string(s), "glibc 2.36-9\n") || !strings.Contains(string(r), "Vim\n    vim\n") || !strings.Contains(string(r), "rpmdb.sqlite was not read") {
		t.Errorf("%s\n%s", s, r)
	}
}

func TestDeb(t *testing.T) {
	p, ok := Deb("Package: libc6\nSource: glibc (2.36-9)\nVersion: 2.36-9+deb12u13\nArchitecture: amd64\nDescription: GNU C Library\n it is long\n", "see /usr/share/common-licenses/LGPL-2.1.\n")
	if !ok || p.Name != "libc6" || p.Source != "glibc" || p.SourceV != "2.36-9" || len(p.Licences) != 1 || p.Licences[0] != "LGPL-2.1" {
		t.Errorf("%+v, %v", p, ok)
	}
	// Ember's programs are Debian's, under whose name whoever looks for known flaws finds them.
	if got := (&List{Distro: "ember"}).purl(p); got != "pkg:deb/debian/libc6@2.36-9%2Bdeb12u13?arch=amd64" {
		t.Error(got)
	}
	if p, ok := Deb("", ""); ok {
		t.Errorf("of nothing: %+v", p)
	}
}
