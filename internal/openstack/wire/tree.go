package wire

import (
	"net/url"
	"slices"
	"strings"
)

// bound is a route in its place: with its API and the names of its wildcards.
type bound struct {
	api     *API
	route   *Route
	pattern string // the whole path, for logs
	names   []string
}

// tree finds routes by the segments of a path. A literal segment goes before a
// wildcard, and a wildcard before the rest ("{name...}").
type tree struct {
	literal map[string]*tree
	wild    *tree
	here    map[string][]*bound // by method: routes that end here
	rest    map[string][]*bound // by method: routes that swallow what follows
}

// segments splits an escaped path. Empty segments do not count, so a trailing or
// a doubled slash changes nothing.
func segments(path string) ([]string, bool) {
	var out []string
	for s := range strings.SplitSeq(path, "/") {
		if s == "" {
			continue
		}
		plain, err := url.PathUnescape(s)
		if err != nil {
			return nil, false
		}
		out = append(out, plain)
	}
	return out, true
}

// add puts a route into the tree.
func (t *tree) add(api *API, route *Route) {
	b := &bound{api: api, route: route, pattern: api.Prefix + route.Path}
	for s := range strings.SplitSeq(b.pattern, "/") {
		switch {
		case s == "":
			continue
		case strings.HasSuffix(s, "...}"):
			b.names = append(b.names, strings.TrimSuffix(s[1:], "...}"))
			t.rest = bind(t.rest, b)
			return
		case strings.HasPrefix(s, "{"):
			b.names = append(b.names, strings.Trim(s, "{}"))
			if t.wild == nil {
				t.wild = &tree{}
			}
			t = t.wild
		default:
			if t.literal == nil {
				t.literal = map[string]*tree{}
			}
			if t.literal[s] == nil {
				t.literal[s] = &tree{}
			}
			t = t.literal[s]
		}
	}
	t.here = bind(t.here, b)
}

func bind(routes map[string][]*bound, b *bound) map[string][]*bound {
	if routes == nil {
		routes = map[string][]*bound{}
	}
	routes[b.route.Method] = append(routes[b.route.Method], b)
	return routes
}

// walk visits the route sets that a path leads to, the most literal first, with
// the values of their wildcards, until visit says that it has what it wants.
func (t *tree) walk(segs, values []string, visit func(routes map[string][]*bound, values []string) bool) bool {
	if len(segs) == 0 {
		return t.here != nil && visit(t.here, values) || t.rest != nil && visit(t.rest, append(slices.Clone(values), ""))
	}
	if next := t.literal[segs[0]]; next != nil && next.walk(segs[1:], values, visit) {
		return true
	}
	if t.wild != nil && t.wild.walk(segs[1:], append(slices.Clone(values), segs[0]), visit) {
		return true
	}
	return t.rest != nil && visit(t.rest, append(slices.Clone(values), strings.Join(segs, "/")))
}

// found is what a path and a method lead to.
type found struct {
	routes []*bound // of all microversions; none: no such path or method
	values []string
	allow  []string // methods that the path has
}

// find looks a request up. A GET route answers HEAD too.
func (t *tree) find(method string, segs []string) found {
	var f found
	t.walk(segs, nil, func(routes map[string][]*bound, values []string) bool {
		got := routes[method]
		if got == nil && method == "HEAD" {
			got = routes["GET"]
		}
		if got != nil {
			f.routes, f.values = got, values
			return true
		}
		for m := range routes {
			f.allow = append(f.allow, m)
			if m == "GET" {
				f.allow = append(f.allow, "HEAD")
			}
		}
		return false
	})
	slices.Sort(f.allow)
	f.allow = slices.Compact(f.allow)
	return f
}
