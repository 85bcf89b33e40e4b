package wire_test

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

// FuzzRequest: any path, query, version and body gets an answer of the APIs own
// making, never a 500.
func FuzzRequest(f *testing.F) {
	mux := wire.NewMux([]wire.API{open()}, nil, wire.Options{})
	f.Add("/compute/v2.1/servers", "limit=1", "compute 2.1", `{"server": {"name": "x"}}`)
	f.Add("/compute/v2.1//servers/%2F/", "sort_key=a&sort_dir=b", "compute latest", `{"server": []}`)
	f.Add("/%zz", "limit=-1&marker=%", "compute 2.1.1, volume", `[`)
	f.Fuzz(func(t *testing.T, path, query, version, body string) {
		u := &url.URL{Path: "/" + path, RawQuery: query}
		if raw := "/" + path; strings.Contains(raw, "%") {
			u.RawPath = raw
		}
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.URL = u
		r.Header.Set("OpenStack-API-Version", version)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("%d: %s", w.Code, w.Body)
		}
	})
}

// open is an API that anybody may call and that reads everything of a request.
func open() wire.API {
	handler := func(r *wire.Request) (*wire.Response, error) {
		if _, err := wire.ParsePage(r.URL.Query(), 1000); err != nil {
			return nil, err
		}
		var in struct {
			Name  wire.Opt[string]    `json:"name"`
			Count wire.Opt[wire.Int]  `json:"count"`
			Auto  wire.Opt[wire.Bool] `json:"auto"`
		}
		if err := r.DecodeObject("server", &in); err != nil {
			return nil, err
		}
		if err := wire.Name("name", in.Name.Or("")); err != nil {
			return nil, err
		}
		return wire.JSON(wire.M{"next": r.NextLink(cloud.NewID()), "name": in.Name}), nil
	}
	p := wire.Allow(wire.Public, "t")
	return wire.API{
		Name: "compute", Prefix: "/compute/v2.1", Fault: wire.NovaFault,
		Versions: wire.Microversions{Service: "compute", Min: wire.Version{Major: 2, Minor: 1}, Max: wire.Version{Major: 2, Minor: 96}},
		Routes: []wire.Route{
			{Method: "POST", Path: "/servers", Policy: p, Handler: handler}, {Method: "POST", Path: "/servers/{id}", Policy: p, Handler: handler},
			{Method: "POST", Path: "/files/{rest...}", Policy: p, Handler: handler},
		},
	}
}
