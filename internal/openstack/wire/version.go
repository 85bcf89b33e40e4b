package wire

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"hearth/internal/cloud"
)

// String is the version as it is written: "2.93".
func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// compare orders versions.
func (v Version) compare(w Version) int {
	if v.Major != w.Major {
		return v.Major - w.Major
	}
	return v.Minor - w.Minor
}

// holds tells whether v is in the route's range.
func (route *Route) holds(v Version) bool {
	return (route.Min == Version{} || v.compare(route.Min) >= 0) && (route.Max == Version{} || v.compare(route.Max) <= 0)
}

// ParseVersion reads "2.93". Anything else is Invalid, in nova's words.
func ParseVersion(s string) (Version, error) {
	major, minor, ok := strings.Cut(s, ".")
	a, err1 := versionNumber(major)
	b, err2 := versionNumber(minor)
	if !ok || err1 != nil || err2 != nil || a == 0 {
		return Version{}, cloud.E("wire.ParseVersion", cloud.Invalid,
			"API Version String %s is of invalid format. Must be of format MajorNum.MinorNum.", s)
	}
	return Version{a, b}, nil
}

func versionNumber(s string) (int, error) {
	if s == "" || len(s) > 1 && s[0] == '0' || strings.ContainsAny(s, "+-_") {
		return 0, strconv.ErrSyntax
	}
	return strconv.Atoi(s)
}

// negotiate finds the microversion that a request asks for: Invalid when it
// cannot be read, NotAcceptable when it is outside of the range. None asked for
// is the lowest.
func (m Microversions) negotiate(h http.Header) (Version, error) {
	if m.Max == (Version{}) {
		return Version{}, nil
	}
	asked := m.asked(h)
	switch asked {
	case "":
		return m.Min, nil
	case "latest":
		return m.Max, nil
	}
	v, err := ParseVersion(asked)
	if minor, old := strings.CutPrefix(asked, "0."); err != nil && old && m.Service == "placement" { // to others it is none at all
		v.Minor, err = versionNumber(minor)
	}
	if err != nil {
		return Version{}, err
	}
	if v.compare(m.Min) < 0 || v.compare(m.Max) > 0 {
		return Version{}, cloud.E("wire.negotiate", cloud.NotAcceptable,
			"Version %s is not supported by the API. Minimum is %s and maximum is %s.", v, m.Min, m.Max)
	}
	return v, nil
}

// asked is the text of the version in the headers: "OpenStack-API-Version:
// compute 2.93, volume 3.70", else the legacy header; "" for none.
func (m Microversions) asked(h http.Header) string {
	last := ""
	for _, line := range h.Values("OpenStack-API-Version") {
		for part := range strings.SplitSeq(line, ",") {
			service, version, _ := strings.Cut(strings.TrimSpace(part), " ")
			if strings.EqualFold(service, m.Service) {
				last = strings.TrimSpace(version)
			}
		}
	}
	if last == "" && m.Legacy != "" {
		last = strings.TrimSpace(h.Get(m.Legacy))
	}
	return strings.ToLower(last)
}

// echo says in the answer which version it is of.
func (m Microversions) echo(h http.Header, v Version) {
	if m.Max == (Version{}) || v == (Version{}) {
		return
	}
	h.Set("OpenStack-API-Version", m.Service+" "+v.String())
	h.Add("Vary", "OpenStack-API-Version")
	if m.Legacy != "" {
		h.Set(m.Legacy, v.String())
		h.Add("Vary", m.Legacy)
	}
}
