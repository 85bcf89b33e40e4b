package wire

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"hearth/internal/cloud"
)

// Page is which part of a list is wanted, and in what order.
type Page struct {
	Limit   int // 0: not given
	Marker  string
	Sort    []SortKey
	Reverse bool // the page before the marker (neutron)
}

// SortKey is a field to sort by.
type SortKey struct {
	Key  string
	Desc bool
}

// ParsePage reads limit, marker, page_reverse and the sort keys: sort_key with
// sort_dir, each repeated (nova, neutron, glance), or sort=key:dir,key
// (glance, cinder). A limit above most is cut to it; most 0 is no bound. Invalid
// for what cannot be meant.
func ParsePage(q url.Values, most int) (Page, error) {
	const op = "wire.ParsePage"
	p := Page{Marker: q.Get("marker")}
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return p, cloud.E(op, cloud.Invalid, "Invalid input for query parameters limit. Value: %s. It must be a whole number that is not negative", text)
		}
		p.Limit = n
	}
	if most > 0 && (p.Limit > most || p.Limit == 0 && q.Get("limit") == "") {
		p.Limit = most
	}
	if text := q.Get("page_reverse"); text != "" {
		reverse, err := ParseBool("page_reverse", text)
		if err != nil {
			return p, err
		}
		p.Reverse = reverse
	}
	sort, err := parseSort(q)
	p.Sort = sort
	return p, err
}

func parseSort(q url.Values) ([]SortKey, error) {
	var out []SortKey
	add := func(key, dir string) error {
		if dir != "" && dir != "asc" && dir != "desc" {
			return cloud.E("wire.ParsePage", cloud.Invalid, "Unknown sort direction %q, must be one of: asc, desc", dir)
		}
		out = append(out, SortKey{key, dir == "desc"})
		return nil
	}
	if sort := q.Get("sort"); sort != "" {
		for part := range strings.SplitSeq(sort, ",") {
			key, dir, _ := strings.Cut(strings.TrimSpace(part), ":")
			if err := add(key, dir); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	keys, dirs := q["sort_key"], q["sort_dir"]
	if len(dirs) > len(keys) && len(keys) > 0 {
		return nil, cloud.E("wire.ParsePage", cloud.Invalid, "there are more sort directions than sort keys")
	}
	for i, key := range keys {
		dir := ""
		switch {
		case i < len(dirs):
			dir = dirs[i]
		case len(dirs) == 1:
			dir = dirs[0]
		}
		if err := add(key, dir); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// NextLink is the address of the page after the marker: the request's own with
// another marker.
func (r *Request) NextLink(marker string) string {
	q := r.Request.URL.Query()
	q.Set("marker", marker)
	return r.BaseURL + r.Request.URL.EscapedPath() + "?" + q.Encode()
}

// SelfLink is the request's own address.
func (r *Request) SelfLink() string {
	link := r.BaseURL + r.Request.URL.EscapedPath()
	if r.Request.URL.RawQuery != "" {
		link += "?" + r.Request.URL.RawQuery
	}
	return link
}

// Fields are the fields that the client wants (neutron): fields=id&fields=name.
// None is all.
func Fields(q url.Values) []string {
	var out []string
	for _, line := range q["fields"] {
		for f := range strings.SplitSeq(line, ",") {
			if f != "" && !slices.Contains(out, f) {
				out = append(out, f)
			}
		}
	}
	return out
}

// Select keeps the fields of an object; all for none.
func Select(object M, fields []string) M {
	if len(fields) == 0 {
		return object
	}
	out := M{}
	for _, f := range fields {
		if v, ok := object[f]; ok {
			out[f] = v
		}
	}
	return out
}

// paging are the query parameters that are not filters.
var paging = []string{"limit", "marker", "page_reverse", "sort", "sort_key", "sort_dir", "fields"}

// Filters are the query parameters that are neither paging nor fields.
func Filters(q url.Values) map[string][]string {
	out := map[string][]string{}
	for name, values := range q {
		if !slices.Contains(paging, name) {
			out[name] = values
		}
	}
	return out
}
