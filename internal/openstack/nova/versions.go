package nova

import (
	"strings"

	"hearth/internal/openstack/wire"
)

// versionRoutes are the documents that clients find the API by.
func (a *api) versionRoutes() []wire.Route {
	policy := wire.Allow(wire.Public, "os_compute_api:versions")
	return []wire.Route{
		{Method: "GET", Path: "", Policy: policy, Handler: a.versions},
		{Method: "GET", Path: "/v2.1", Policy: policy, Handler: version("v2.1")},
		{Method: "GET", Path: "/v2", Policy: policy, Handler: version("v2.0")},
	}
}

// entry is one of the two versions. v2.0 is v2.1 without microversions.
func entry(r *wire.Request, id string) wire.M {
	m := wire.M{"id": "v2.1", "status": "CURRENT", "version": r.API.Versions.Max.String(), "min_version": r.API.Versions.Min.String(),
		"updated": "2013-07-23T11:33:21Z", "links": []link{{"self", r.Link("/v2.1/")}}}
	if id == "v2.0" {
		m = wire.M{"id": id, "status": "SUPPORTED", "version": "", "min_version": "", "updated": "2011-01-21T11:33:21Z", "links": []link{{"self", r.Link("/v2/")}}}
	}
	return m
}

func (a *api) versions(r *wire.Request) (*wire.Response, error) {
	return wire.JSON(wire.M{"versions": []wire.M{entry(r, "v2.0"), entry(r, "v2.1")}}), nil
}

func version(id string) wire.Handler {
	return func(r *wire.Request) (*wire.Response, error) {
		v := entry(r, id)
		v["media-types"] = []wire.M{{"base": "application/json", "type": "application/vnd.openstack.compute+json;version=" + id[1:]}}
		if id == "v2.0" {
			v["media-types"] = []wire.M{{"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2"}}
		}
		return wire.JSON(wire.M{"version": v}), nil
	}
}

// legacy are the routes of v2.0: those that 2.1 has, under the older path.
func legacy(routes []wire.Route) (out []wire.Route) {
	first := wire.Version{Major: 2, Minor: 1}
	for _, r := range routes {
		if path, ok := strings.CutPrefix(r.Path, "/v2.1/"); ok && (r.Min == wire.Version{} || r.Min == first) {
			r.Path, r.Max = "/v2/"+path, first
			out = append(out, r)
		}
	}
	return out
}
