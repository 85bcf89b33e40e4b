package nova

import (
	"hearth/internal/openstack/wire"
)

// versionRoutes are the documents that clients find the API by.
func (a *api) versionRoutes() []wire.Route {
	policy := wire.Allow(wire.Public, "os_compute_api:versions")
	return []wire.Route{
		{Method: "GET", Path: "", Policy: policy, Handler: a.versions},
		{Method: "GET", Path: "/v2.1", Policy: policy, Handler: a.version},
	}
}

// versionEntry is the entry of v2.1, the only one.
func versionEntry(r *wire.Request) wire.M {
	return wire.M{
		"id": "v2.1", "status": "CURRENT", "version": r.API.Versions.Max.String(), "min_version": r.API.Versions.Min.String(),
		"updated": "2013-07-23T11:33:21Z", "links": []link{{"self", r.Link("/v2.1/")}},
	}
}

func (a *api) versions(r *wire.Request) (*wire.Response, error) {
	return wire.JSON(wire.M{"versions": []wire.M{versionEntry(r)}}), nil
}

func (a *api) version(r *wire.Request) (*wire.Response, error) {
	v := versionEntry(r)
	v["media-types"] = []wire.M{{"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2.1"}}
	return wire.JSON(wire.M{"version": v}), nil
}
