package wire

import (
	"fmt"
	"slices"
	"strings"
)

// Entry is a line of the list of all routes.
type Entry struct {
	API, Method, Path string // Path with its API's prefix
	Policy, Rule      string
	Min, Max          Version
}

// List is all routes of the APIs in order of path and method, for documents.
func List(apis []API) []Entry {
	var out []Entry
	for _, api := range apis {
		for _, r := range api.Routes {
			out = append(out, Entry{api.Name, r.Method, api.Prefix + r.Path, r.Policy.Name, r.Policy.Rule.Name, r.Min, r.Max})
		}
	}
	slices.SortStableFunc(out, func(a, b Entry) int {
		if c := strings.Compare(a.Path, b.Path); c != 0 {
			return c
		}
		return strings.Compare(a.Method, b.Method)
	})
	return out
}

// methods are those that OpenStack's APIs use.
var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}

// Check finds the mistakes of route tables, one sentence each: a route without a
// policy or a handler, a path or method that cannot be, two routes for the same
// thing, an API without faults.
func Check(apis []API) []string {
	var out []string
	seen := map[string][]*Route{}
	for _, api := range apis {
		if api.Fault == nil {
			out = append(out, fmt.Sprintf("API %s has no Fault", api.Name))
		}
		if strings.HasSuffix(api.Prefix, "/") {
			out = append(out, fmt.Sprintf("API %s: the prefix %q ends in a slash", api.Name, api.Prefix))
		}
		for i := range api.Routes {
			r := &api.Routes[i]
			where := r.Method + " " + api.Prefix + r.Path
			for _, wrong := range mistakes(r) {
				out = append(out, where+": "+wrong)
			}
			key := r.Method + " " + shape(api.Prefix+r.Path)
			for _, other := range seen[key] {
				if overlap(r, other) {
					out = append(out, where+": there are two routes for it")
				}
			}
			seen[key] = append(seen[key], r)
		}
	}
	return out
}

func mistakes(r *Route) []string {
	var out []string
	if r.Policy.Name == "" || r.Policy.Rule.Name == "" || r.Policy.Rule.Allow == nil {
		out = append(out, "no policy")
	}
	if r.Handler == nil {
		out = append(out, "no handler")
	}
	if !slices.Contains(methods, r.Method) {
		out = append(out, "unknown method")
	}
	if !strings.HasPrefix(r.Path, "/") && r.Path != "" {
		out = append(out, "the path does not begin with a slash")
	}
	if i := strings.Index(r.Path, "...}"); i >= 0 && i != len(r.Path)-len("...}") {
		out = append(out, "{name...} is not the last segment")
	}
	if r.Max != (Version{}) && r.Min.compare(r.Max) > 0 {
		out = append(out, "the lowest microversion is above the highest")
	}
	return out
}

// shape is a pattern without the names of its wildcards: what makes two the same.
func shape(pattern string) string {
	segs, _ := segments(pattern)
	for i, s := range segs {
		switch {
		case strings.HasSuffix(s, "...}"):
			segs[i] = "{...}"
		case strings.HasPrefix(s, "{"):
			segs[i] = "{}"
		}
	}
	return "/" + strings.Join(segs, "/")
}

// overlap tells whether two routes share a microversion.
func overlap(a, b *Route) bool {
	below := func(x, y *Route) bool { return x.Max != (Version{}) && x.Max.compare(y.Min) < 0 }
	return !below(a, b) && !below(b, a)
}
