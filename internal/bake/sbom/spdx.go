package sbom

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

// document is an SPDX 2.3 document in the form of its JSON schema.
type document struct {
	Version       string         `json:"spdxVersion"`
	DataLicence   string         `json:"dataLicense"`
	ID            string         `json:"SPDXID"`
	Name          string         `json:"name"`
	Namespace     string         `json:"documentNamespace"`
	Comment       string         `json:"comment,omitempty"`
	Creation      creation       `json:"creationInfo"`
	Describes     []string       `json:"documentDescribes"`
	Packages      []spdxPackage  `json:"packages"`
	Relationships []relationship `json:"relationships"`
	Extracted     []extracted    `json:"hasExtractedLicensingInfos,omitempty"`
}

type creation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type spdxPackage struct {
	ID        string      `json:"SPDXID"`
	Name      string      `json:"name"`
	Version   string      `json:"versionInfo,omitempty"`
	Supplier  string      `json:"supplier"`
	Location  string      `json:"downloadLocation"`
	Homepage  string      `json:"homepage,omitempty"`
	Analysed  bool        `json:"filesAnalyzed"`
	Source    string      `json:"sourceInfo,omitempty"`
	Concluded string      `json:"licenseConcluded"`
	Declared  string      `json:"licenseDeclared"`
	Copyright string      `json:"copyrightText"`
	Purpose   string      `json:"primaryPackagePurpose,omitempty"`
	Refs      []reference `json:"externalRefs,omitempty"`
}

type reference struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type relationship struct {
	From string `json:"spdxElementId"`
	Type string `json:"relationshipType"`
	To   string `json:"relatedSpdxElement"`
}

type extracted struct {
	ID   string `json:"licenseId"`
	Text string `json:"extractedText"`
	Name string `json:"name"`
}

const (
	none  = "NOASSERTION"
	image = "SPDXRef-image"
)

// spdxIDs are licences by the names that Debian, Alpine and Gentoo give them.
// Sources: the copyright format's list of short names; https://spdx.org/licenses/ .
var spdxIDs = map[string]string{
	"gpl-1": "GPL-1.0-only", "gpl-1+": "GPL-1.0-or-later", "gpl-2": "GPL-2.0-only", "gpl-2+": "GPL-2.0-or-later", "gpl-3": "GPL-3.0-only", "gpl-3+": "GPL-3.0-or-later",
	"lgpl-2": "LGPL-2.0-only", "lgpl-2+": "LGPL-2.0-or-later", "lgpl-2.1": "LGPL-2.1-only", "lgpl-2.1+": "LGPL-2.1-or-later", "lgpl-3": "LGPL-3.0-only", "lgpl-3+": "LGPL-3.0-or-later",
	"expat": "MIT", "mit": "MIT", "isc": "ISC", "zlib": "Zlib", "apache-2.0": "Apache-2.0", "bsd-2-clause": "BSD-2-Clause", "bsd-3-clause": "BSD-3-Clause", "bsd-4-clause": "BSD-4-Clause",
	"artistic": "Artistic-1.0-Perl", "artistic-2.0": "Artistic-2.0", "mpl-2.0": "MPL-2.0", "cc0-1.0": "CC0-1.0", "openssl": "OpenSSL", "curl": "curl", "bsl-1.0": "BSL-1.0", "unlicense": "Unlicense",
	"gpl-2.0-only": "GPL-2.0-only", "gpl-2.0-or-later": "GPL-2.0-or-later", "gpl-3.0-or-later": "GPL-3.0-or-later", "lgpl-2.1-or-later": "LGPL-2.1-or-later", "0bsd": "0BSD", "gfdl-1.2": "GFDL-1.2-only", "gfdl-1.3": "GFDL-1.3-only",
}

// licences makes identifiers of a package's words: an SPDX one, or a LicenseRef for
// the whole word, for nobody but its author knows what "and" means in it.
func licences(words []string, refs map[string]string) (ids []string) {
	for _, w := range words {
		id, ok := spdxIDs[strings.ToLower(w)]
		if !ok {
			id = "LicenseRef-" + idPart(w)
			refs[id] = w
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// idPart is a text with what an identifier may have: letters, digits, dots, hyphens.
// What must be changed gets a sum, so that two texts stay two.
func idPart(s string) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '-'
	}, s)
	if clean != s || len(s) > 60 {
		sum := sha256.Sum256([]byte(s))
		clean = clean[:min(len(clean), 60)] + "-" + hex.EncodeToString(sum[:4])
	}
	return clean
}

// purl is the package URL. Source: https://github.com/package-url/purl-spec .
func (l *List) purl(p Package) string {
	space := cmp.Or(p.Distro, l.Distro) + "/"
	if p.Manager == "ebuild" {
		space = ""
	}
	version := strings.ReplaceAll(url.QueryEscape(p.Version), "+", "%20")
	s := "pkg:" + p.Manager + "/" + space + strings.ReplaceAll(url.PathEscape(p.Name), "%2F", "/") + "@" + version
	if p.Arch != "" {
		s += "?arch=" + url.QueryEscape(p.Arch)
	}
	return s
}

func (l *List) document() *document {
	d := &document{Version: "SPDX-2.3", DataLicence: "CC0-1.0", ID: "SPDXRef-DOCUMENT", Name: l.Image, Describes: []string{image},
		Creation: creation{l.Created.UTC().Format(time.RFC3339), []string{"Tool: hearth-bake"}}}
	if len(l.Unread) > 0 {
		d.Comment = "Not read, so that their packages are missing here: " + strings.Join(l.Unread, ", ")
	}
	d.Packages = []spdxPackage{{ID: image, Name: l.Image, Supplier: none, Location: none, Concluded: none, Declared: none, Copyright: none, Purpose: "OPERATING_SYSTEM"}}
	d.Relationships = []relationship{{d.ID, "DESCRIBES", image}}
	refs, taken, h := map[string]string{}, map[string]bool{}, sha256.New()
	for _, p := range l.Packages {
		fmt.Fprintf(h, "%q\n", p)
		id := "SPDXRef-" + idPart(p.Manager+"-"+p.Name+"-"+p.Arch+"-"+p.Version)
		if taken[id] {
			continue
		}
		taken[id] = true
		declared := none
		if ids := licences(p.Licences, refs); len(ids) > 0 {
			declared = strings.Join(ids, " AND ")
		}
		home := ""
		if u, err := url.Parse(p.Homepage); err == nil && u.Host != "" {
			home = p.Homepage
		}
		d.Packages = append(d.Packages, spdxPackage{ID: id, Name: p.Name, Version: p.Version, Supplier: none, Location: none, Homepage: home,
			Source: "built from source package " + p.Source + " " + p.SourceV, Concluded: none, Declared: declared, Copyright: none,
			Refs: []reference{{"PACKAGE-MANAGER", "purl", l.purl(p)}}})
		d.Relationships = append(d.Relationships, relationship{image, "CONTAINS", id})
	}
	for id, word := range refs {
		d.Extracted = append(d.Extracted, extracted{id, "The package calls its licence: " + word, word})
	}
	slices.SortFunc(d.Extracted, func(a, b extracted) int { return strings.Compare(a.ID, b.ID) })
	d.Namespace = "https://hearth.invalid/spdx/" + url.PathEscape(l.Image) + "-" + hex.EncodeToString(h.Sum(nil)[:16])
	return d
}

// Write writes PREFIX.sbom.spdx.json, PREFIX.sources.txt and PREFIX.licences.txt.
func (l *List) Write(prefix string) (bill, sources, licence string, err error) {
	b, err := json.MarshalIndent(l.document(), "", "  ")
	if err != nil {
		return "", "", "", err
	}
	bill, sources, licence = prefix+".sbom.spdx.json", prefix+".sources.txt", prefix+".licences.txt"
	for name, text := range map[string]string{bill: string(b) + "\n", sources: l.sources(), licence: l.report()} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return "", "", "", err
		}
	}
	return bill, sources, licence, nil
}

// sources lists source packages: NAME VERSION, once each.
func (l *List) sources() string {
	var lines []string
	for _, p := range l.Packages {
		lines = append(lines, p.Source+" "+p.SourceV+"\n")
	}
	slices.Sort(lines)
	return strings.Join(slices.Compact(lines), "")
}

// report lists licences with their packages, and those that say none.
func (l *List) report() string {
	by := map[string][]string{}
	for _, p := range l.Packages {
		words := p.Licences
		if len(words) == 0 {
			words = []string{"(the package does not say)"}
		}
		for _, w := range words {
			by[w] = append(by[w], p.Name)
		}
	}
	var names []string
	for w := range by {
		names = append(names, w)
	}
	slices.Sort(names)
	var b strings.Builder
	for _, w := range names {
		fmt.Fprintf(&b, "%s\n    %s\n", w, strings.Join(slices.Compact(by[w]), ", "))
	}
	for _, u := range l.Unread {
		fmt.Fprintf(&b, "%s was not read\n", u)
	}
	return b.String()
}
