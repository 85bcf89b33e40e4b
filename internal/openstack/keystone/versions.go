package keystone

import (
	"net/http"

	"hearth/internal/openstack/wire"
)

func (a *api) versionRoutes() []wire.Route {
	return []wire.Route{
		route("GET", "/", wire.Public, "versions", a.versions),
		route("GET", "/v3", wire.Public, "version", a.version),
	}
}

// v3 is the one version.
func v3(r *wire.Request) wire.M {
	return wire.M{
		"id": "v3.14", "status": "stable", "updated": "2020-04-07T00:00:00Z",
		"links":       []wire.M{{"rel": "self", "href": r.BaseURL + "/v3/"}},
		"media-types": []wire.M{{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}},
	}
}

func (a *api) versions(r *wire.Request) (*wire.Response, error) {
	if prefersHome(r) {
		return a.home("/v3")
	}
	body := wire.M{"versions": wire.M{"values": []wire.M{v3(r)}}}
	return &wire.Response{Status: http.StatusMultipleChoices, Body: body, Header: http.Header{"Location": {r.BaseURL + "/v3/"}}}, nil
}

func (a *api) version(r *wire.Request) (*wire.Response, error) {
	if prefersHome(r) {
		return a.home("")
	}
	return wire.JSON(wire.M{"version": v3(r)}), nil
}
