package wire_test

import (
	"net/url"
	"reflect"
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

func TestCheck(t *testing.T) {
	p, h := wire.Allow(wire.Anyone, "t"), say("x")
	for _, c := range []struct {
		name   string
		routes []wire.Route
		says   string // "" for nothing
	}{
		{"good", []wire.Route{{Method: "GET", Path: "/a/{x}", Policy: p, Handler: h}, {Method: "GET", Path: "/a/b", Policy: p, Handler: h}}, ""},
		{"ranges", []wire.Route{{Method: "GET", Path: "/a", Policy: p, Handler: h, Max: wire.Version{2, 3}}, {Method: "GET", Path: "/a", Policy: p, Handler: h, Min: wire.Version{2, 4}}}, ""},
		{"no policy", []wire.Route{{Method: "GET", Path: "/a", Handler: h}}, "no policy"},
		{"no handler", []wire.Route{{Method: "GET", Path: "/a", Policy: p}}, "no handler"},
		{"method", []wire.Route{{Method: "FETCH", Path: "/a", Policy: p, Handler: h}}, "unknown method"},
		{"twice", []wire.Route{{Method: "GET", Path: "/a/{x}", Policy: p, Handler: h}, {Method: "GET", Path: "/a/{y}/", Policy: p, Handler: h}}, "two routes"},
		{"ranges that overlap", []wire.Route{{Method: "GET", Path: "/a", Policy: p, Handler: h, Max: wire.Version{2, 4}}, {Method: "GET", Path: "/a", Policy: p, Handler: h, Min: wire.Version{2, 4}}}, "two routes"},
	} {
		got := strings.Join(wire.Check([]wire.API{{Name: "t", Prefix: "/t", Fault: wire.NovaFault, Routes: c.routes}}), "; ")
		if c.says == "" && got != "" || !strings.Contains(got, c.says) {
			t.Errorf("%s: %q, want %q", c.name, got, c.says)
		}
	}
	if list := wire.List([]wire.API{compute()}); len(list) != 13 || list[0].Path != "/compute/v2.1/" || list[0].Policy != "t:public" {
		t.Errorf("list: %d %+v", len(list), list[0])
	}
}

func TestParsePage(t *testing.T) {
	for _, c := range []struct {
		query string
		want  wire.Page
		bad   bool
	}{
		{"", wire.Page{Limit: 1000}, false},
		{"limit=5&marker=m", wire.Page{Limit: 5, Marker: "m"}, false},
		{"limit=5000", wire.Page{Limit: 1000}, false},
		{"limit=0", wire.Page{}, false},
		{"sort_key=name&sort_dir=desc&sort_key=id", wire.Page{Limit: 1000, Sort: []wire.SortKey{{"name", true}, {"id", true}}}, false},
		{"sort=name:asc,size:desc", wire.Page{Limit: 1000, Sort: []wire.SortKey{{"name", false}, {"size", true}}}, false},
		{"page_reverse=True", wire.Page{Limit: 1000, Reverse: true}, false},
		{"limit=-1", wire.Page{}, true}, {"limit=x", wire.Page{}, true}, {"sort_key=a&sort_dir=up", wire.Page{}, true}, {"sort=a:up", wire.Page{}, true},
	} {
		q, _ := url.ParseQuery(c.query)
		got, err := wire.ParsePage(q, 1000)
		if c.bad != cloud.Is(err, cloud.Invalid) || !c.bad && !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: %+v, %v", c.query, got, err)
		}
	}
}

func TestQueryPieces(t *testing.T) {
	q, _ := url.ParseQuery("fields=id&fields=name,id&status=UP&limit=3")
	if got := wire.Select(wire.M{"id": 1, "name": "x", "other": 2}, wire.Fields(q)); !reflect.DeepEqual(got, wire.M{"id": 1, "name": "x"}) {
		t.Errorf("fields: %v", got)
	}
	if got := wire.Filters(q); !reflect.DeepEqual(got, map[string][]string{"status": {"UP"}}) {
		t.Errorf("filters: %v", got)
	}
}

func TestFields(t *testing.T) {
	id := cloud.NewID()
	for _, c := range []struct {
		name string
		err  error
		ok   bool
	}{
		{"name", wire.Name("name", "vm 1"), true}, {"empty name", wire.Name("name", ""), false}, {"spaces", wire.Name("name", " vm"), false},
		{"long", wire.Length("d", strings.Repeat("ä", 256), 0, 255), false}, {"255 characters", wire.Length("d", strings.Repeat("ä", 255), 0, 255), true},
		{"NUL", wire.Length("d", "a\x00", 0, 255), false}, {"uuid", wire.UUID("id", id), true}, {"not uuid", wire.UUID("id", id+"0"), false},
		{"range", wire.Between("n", 5, 1, 4), false}, {"one of", wire.OneOf("s", "b", "a", "b"), true}, {"none of", wire.OneOf("s", "c", "a", "b"), false},
		{"first", wire.First(nil, wire.Name("n", ""), nil), false},
	} {
		if (c.err == nil) != c.ok || c.err != nil && !cloud.Is(c.err, cloud.Invalid) {
			t.Errorf("%s: %v", c.name, c.err)
		}
	}
}
