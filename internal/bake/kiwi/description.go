package kiwi

import (
	"encoding/xml"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

type description struct {
	XMLName     xml.Name      `xml:"image"`
	Name        string        `xml:"name,attr"`
	DisplayName string        `xml:"displayname,attr"`
	Preferences []preferences `xml:"preferences"`
	Profiles    []struct {
		Name   string `xml:"name,attr"`
		Import string `xml:"import,attr"`
	} `xml:"profiles>profile"`
	Users []struct {
		Group    string `xml:"group,attr"`
		Profiles string `xml:"profiles,attr"`
		Users    []user `xml:"user"`
	} `xml:"users"`
	Repositories []struct {
		Type         string `xml:"type,attr"`
		Distribution string `xml:"distribution,attr"`
		Components   string `xml:"components,attr"`
		Profiles     string `xml:"profiles,attr"`
		Source       struct {
			Path string `xml:"path,attr"`
		} `xml:"source"`
	} `xml:"repository"`
	Packages []struct {
		Type     string  `xml:"type,attr"`
		Profiles string  `xml:"profiles,attr"`
		Packages []named `xml:"package"`
		Archives []named `xml:"archive"`
		Patterns []named `xml:"namedCollection"`
		Old      []named `xml:"opensusePattern"`
		Ignore   []named `xml:"ignore"`
		rest
	} `xml:"packages"`
	rest
}

type named struct {
	Name string `xml:"name,attr"`
	Arch string `xml:"arch,attr"`
}

// here tells whether it is for this architecture.
func (n named) here() bool {
	list := words(n.Arch)
	return len(list) == 0 || slices.Contains(list, "x86_64") || slices.Contains(list, "amd64")
}

type user struct {
	Name     string `xml:"name,attr"`
	Home     string `xml:"home,attr"`
	Groups   string `xml:"groups,attr"`
	Shell    string `xml:"shell,attr"`
	Password string `xml:"password,attr"`
	Old      string `xml:"pwd,attr"`
	Format   string `xml:"pwdformat,attr"`
	rest
}

type preferences struct {
	Profiles string      `xml:"profiles,attr"`
	Manager  string      `xml:"packagemanager"`
	Types    []imageType `xml:"type"`
	rest
}

type imageType struct {
	Image      string `xml:"image,attr"`
	Primary    string `xml:"primary,attr"`
	FileSystem string `xml:"filesystem,attr"`
	Format     string `xml:"format,attr"`
	Loader     string `xml:"bootloader,attr"`
	LoaderPart struct {
		Name    string `xml:"name,attr"`
		Timeout string `xml:"timeout,attr"`
		rest
	} `xml:"bootloader"`
	Timeout     string    `xml:"boottimeout,attr"`
	CommandLine string    `xml:"kernelcmdline,attr"`
	Firmware    string    `xml:"firmware,attr"`
	Encrypted   string    `xml:"luks,attr"`
	OverlayRoot string    `xml:"overlayroot,attr"`
	Mirrored    string    `xml:"mdraid,attr"`
	Volumes     *struct{} `xml:"systemdisk"`
	Partitions  *struct{} `xml:"partitions"`
	Size        struct {
		Unit  string `xml:"unit,attr"`
		Value string `xml:",chardata"`
	} `xml:"size"`
	OEM oemConfig `xml:"oemconfig"`
	rest
}

// rest is what a part of the description has besides what is read of it.
type rest struct {
	Attributes []xml.Attr `xml:",any,attr"`
	Elements   []element  `xml:",any"`
}

type element struct{ XMLName xml.Name }

// maxUnread bounds how many parts are told one by one.
const maxUnread = 40

// without lists by name what is said without a word: it describes, or it names a part
// of KIWI's own that has another here.
var without = map[string]string{
	"image":       "schemaversion schemaLocation noNamespaceSchemaLocation xsi xmlns id description",
	"preferences": "version release-version",
	"type":        "boot", // KIWI's ramdisk: there is another
	"packages":    "patternType",
}

// left tells what of a part is not read.
func (r *reader) left(where string, parts rest) {
	var names []string
	for _, a := range parts.Attributes {
		names = append(names, a.Name.Local)
	}
	for _, e := range parts.Elements {
		names = append(names, e.XMLName.Local)
	}
	for _, n := range names {
		if slices.Contains(strings.Fields(without[where]), n) {
			continue
		}
		switch r.unread++; {
		case r.unread < maxUnread:
			r.warn("%s of <%s> is not read: the image is made without it", n, where)
		case r.unread == maxUnread:
			r.warn("more is not read, which is not told one by one")
		}
	}
}

// words splits lists by commas and blanks.
func words(s string) []string {
	return strings.FieldsFunc(s, func(c rune) bool { return c == ',' || c == ' ' || c == '\n' || c == '\t' })
}

var profileName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// choose takes the profiles that the description asks for itself.
func (r *reader) choose(d *description) error {
	for _, p := range d.Profiles {
		if !profileName.MatchString(p.Name) {
			return fmt.Errorf("%q is no name of a profile: use letters, digits, -, _ and dots", p.Name)
		}
		if p.Import == "true" {
			r.profiles = append(r.profiles, p.Name)
		} else {
			r.warn("the profile %s is not asked for (import=\"true\" does that): what is only in it is left out", p.Name)
		}
	}
	r.left("image", d.rest)
	return nil
}

// on tells whether a part with these profiles is in the image.
func (r *reader) on(profiles string) bool {
	list := words(profiles)
	return len(list) == 0 || slices.ContainsFunc(list, func(p string) bool { return slices.Contains(r.profiles, p) })
}
