// Package placement is the placement API, microversions 1.0 to 1.39: resource
// providers with inventories, traits and aggregates, who claims from them, and
// candidates for what is wanted.
package placement

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/placement"
)

// api is the handlers with what they need.
type api struct{ svc *placement.Service }

// New makes the API. Its routes are below /placement.
func New(svc *placement.Service) wire.API {
	a := &api{svc: svc}
	routes := append(a.providerRoutes(), a.claimRoutes()...)
	return wire.API{
		Name: "placement", Prefix: "/placement", Fault: fault,
		Versions: wire.Microversions{Service: "placement", Min: wire.Version{Major: 1}, Max: wire.Version{Major: 1, Minor: 39}},
		Routes:   append(routes, a.nameRoutes()...),
	}
}

// route makes a route of an admin's with placement's policy name.
func (a *api) route(method, path, policy string, h wire.Handler) wire.Route {
	return wire.Route{Method: method, Path: path, Policy: wire.Allow(wire.Admin, "placement:"+policy), Handler: dated(a.svc.Now, h)}
}

// since bounds a route to microversions from 1.n on.
func since(n int, r wire.Route) wire.Route {
	r.Min = wire.Version{Major: 1, Minor: n}
	return r
}

// until bounds a route to microversions up to 1.n.
func until(n int, r wire.Route) wire.Route {
	r.Max = wire.Version{Major: 1, Minor: n}
	return r
}

// dated adds the headers that answers with a body have from 1.15 on.
func dated(now func() time.Time, h wire.Handler) wire.Handler {
	return func(r *wire.Request) (*wire.Response, error) {
		if r.Method == http.MethodGet && !accepts(r) {
			return nil, cloud.E("placement", cloud.NotAcceptable, "Only application/json is provided")
		}
		resp, err := h(r)
		if err != nil || resp == nil || !r.Version.AtLeast(15) || resp.Body == nil && r.Method != http.MethodGet && !strings.Contains(r.URL.Path, "/traits/") {
			return resp, err
		}
		if resp.Header == nil {
			resp.Header = http.Header{}
		}
		resp.Header.Set("Cache-Control", "no-cache")
		if resp.Header.Get("Last-Modified") == "" {
			resp.Header.Set("Last-Modified", now().Format(http.TimeFormat))
		}
		return resp, nil
	}
}

// prefaces are what webob says before the sentence.
var prefaces = map[int]string{
	400: "The server could not comply with the request since it is either malformed or otherwise incorrect.",
	403: "Access was denied to this resource.", 404: "The resource could not be found.",
	405: "The method specified is not allowed for this resource.", 409: "There was a conflict when trying to complete your request.",
}

// fault says {"errors": [{"status": 409, "title": "Conflict", "detail": "…"}]}, from
// 1.23 on with a code that clients act on.
func fault(r *wire.Request, err error) (int, any) {
	status := wire.Status(err)
	detail := wire.Sentence(r, err)
	if preface, ok := prefaces[status]; ok && preface != detail {
		detail = preface + "\n\n " + detail + "  "
	}
	e := wire.M{"status": status, "title": http.StatusText(status), "detail": detail, "request_id": r.ID}
	if r.Version.AtLeast(23) {
		e["code"] = "placement.undefined_code"
		var p *placement.Problem
		if errors.As(err, &p) && p.Code != "" {
			e["code"] = p.Code
		}
	}
	if status == http.StatusNotAcceptable && r.Version == (wire.Version{}) {
		e["min_version"], e["max_version"] = r.API.Versions.Min.String(), r.API.Versions.Max.String()
	}
	return status, wire.M{"errors": []wire.M{e}}
}

// root is the version document: anybody may read it.
func (a *api) root(r *wire.Request) (*wire.Response, error) {
	v := r.API.Versions
	return wire.JSON(wire.M{"versions": []wire.M{{
		"id": "v" + v.Min.String(), "min_version": v.Min.String(), "max_version": v.Max.String(), "status": "CURRENT",
		"links": []wire.M{{"rel": "self", "href": ""}},
	}}}), nil
}

// href is the path of a resource without the server, as placement's links are.
func href(r *wire.Request, parts ...string) string {
	return r.API.Prefix + "/" + strings.Join(parts, "/")
}

// noted is href with the server, as the header Location has it.
func noted(r *wire.Request, parts ...string) string { return r.BaseURL + href(r, parts...) }

// created answers 201 with a Location and no body.
func created(status int, location string) *wire.Response {
	return &wire.Response{Status: status, Header: http.Header{"Location": {location}}}
}

// invalid is a request that cannot be meant.
func invalid(format string, args ...any) error {
	return cloud.E("placement", cloud.Invalid, format, args...)
}

// allowed refuses query parameters that there are not.
func allowed(r *wire.Request, known ...string) error {
	for name := range r.URL.Query() {
		ok := false
		for _, k := range known {
			ok = ok || k == name
		}
		if !ok {
			return invalid("Invalid query string parameters: Additional properties are not allowed ('%s' was unexpected)", name)
		}
	}
	return nil
}
