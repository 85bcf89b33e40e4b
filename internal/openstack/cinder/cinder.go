// Package cinder is the block storage API in cinder's words, version 3 with its
// microversions to 3.70. Its routes are below /volume/v3, with the project in the
// path (/volume/v3/{project_id}/volumes) or, as of 3.67, without it.
package cinder

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/volume"
)

// maxLimit is how many items a list holds at most (cinder's osapi_max_limit).
const maxLimit = 1000

// api is the handlers with what they need.
type api struct{ svc *volume.Service }

// New makes the block storage API.
func New(svc *volume.Service) wire.API {
	a := &api{svc}
	table := slices.Concat(a.volumeRoutes(), a.snapshotRoutes(), a.typeRoutes(), a.qosRoutes(), a.transferRoutes(), a.attachmentRoutes(),
		a.quotaRoutes(), a.hostRoutes(), a.messageRoutes(), a.groupRoutes(), a.consistencyRoutes(), a.groupTypeRoutes(), a.backupRoutes(),
		a.manageRoutes(), a.encryptionRoutes(), a.defaultRoutes())
	routes := a.versionRoutes()
	for _, r := range table {
		routes = append(routes, under("/v3/{project_id}", r), under("/v3", r))
	}
	return wire.API{
		Name: "volume", Prefix: "/volume", Fault: fault, Routes: routes, Media: wire.Media("application/json", "application/vnd.openstack.volume+json"),
		Versions: wire.Microversions{Service: "volume", Min: wire.Version{Major: 3}, Max: wire.Version{Major: 3, Minor: 70}},
	}
}

// under puts a route below a prefix. A project in the path must be the token's.
func under(prefix string, r wire.Route) wire.Route {
	handle := r.Handler
	r.Path = prefix + r.Path
	r.Handler = func(r *wire.Request) (*wire.Response, error) {
		if p := r.PathValue("project_id"); p != "" && p != r.Caller.ProjectID {
			return nil, cloud.E("cinder.project", cloud.Invalid, "Malformed request url: the project in the path is not that of the token.")
		}
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/") {
			return nil, errNowhere
		}
		return handle(r)
	}
	return r
}

// errNowhere is for a path that ends where an id should be.
var errNowhere = cloud.E("cinder.route", cloud.NotFound, "The resource could not be found.")

// fault is cinder's: where a path ends in a slash an id is missing, which is 404
// and not another method's business.
func fault(r *wire.Request, err error) (int, any) {
	var method *wire.MethodError
	if errors.As(err, &method) && strings.HasSuffix(r.URL.Path, "/") {
		err = errNowhere
	}
	return wire.CinderFault(r, err)
}

// route makes a route with cinder's policy name.
func route(method, path string, rule wire.Rule, policy string, h wire.Handler) wire.Route {
	return wire.Route{Method: method, Path: path, Policy: wire.Allow(rule, policy), Handler: h}
}

// since bounds a route to microversions from 3.n on.
func since(n int, r wire.Route) wire.Route {
	r.Min = wire.Version{Major: 3, Minor: n}
	return r
}

// versionRoutes are the documents that clients find the API by.
func (a *api) versionRoutes() []wire.Route {
	policy := wire.Allow(wire.Public, "volume:versions")
	return []wire.Route{
		{Method: "GET", Path: "", Policy: policy, Handler: func(r *wire.Request) (*wire.Response, error) {
			return &wire.Response{Status: http.StatusMultipleChoices, Body: versions(r)}, nil
		}},
		{Method: "GET", Path: "/v3", Policy: policy, Handler: func(r *wire.Request) (*wire.Response, error) { return wire.JSON(versions(r)), nil }},
	}
}

func versions(r *wire.Request) wire.M {
	return wire.M{"versions": []wire.M{{
		"id": "v3.0", "status": "CURRENT", "version": r.API.Versions.Max.String(), "min_version": r.API.Versions.Min.String(),
		"updated": "2022-08-31T00:00:00Z",
		"links": []wire.M{
			{"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/"}, {"rel": "self", "href": r.Link("/v3/")},
		},
		"media-types": []wire.M{{"base": "application/json", "type": "application/vnd.openstack.volume+json;version=3"}},
	}}}
}

// links are those of a resource.
func links(r *wire.Request, path string) []wire.M {
	if p := r.PathValue("project_id"); p != "" {
		path = "/" + p + path
	}
	return []wire.M{{"rel": "self", "href": r.Link("/v3" + path)}, {"rel": "bookmark", "href": r.Link(path)}}
}

// stamp writes a moment as cinder does; null for never.
func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02T15:04:05.000000")
}

// orNull is null for "".
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// orEmpty is {} for nil.
func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// checkMetadata holds metadata against cinder's bounds.
func checkMetadata(m map[string]string) error {
	for k, v := range m {
		if err := wire.First(wire.Length("metadata", k, 1, 255), wire.Length("metadata", v, 0, 255)); err != nil {
			return err
		}
	}
	return nil
}

// checkName holds a name and a description against cinder's bounds.
func checkName(name, description *string) error {
	for field, text := range map[string]*string{"name": name, "description": description} {
		if text == nil {
			continue
		}
		if err := wire.Length(field, *text, 0, 255); err != nil {
			return err
		}
	}
	return nil
}

// needUUID refuses what is no UUID where one must be.
func needUUID(field string, texts ...string) error {
	for _, t := range texts {
		if t != "" && !cloud.IsID(t) {
			return cloud.E("cinder.uuid", cloud.Invalid, "Invalid input for field/attribute %s. Value: %s. '%s' is not a 'uuid'", field, t, t)
		}
	}
	return nil
}

func said(v any) string { return fmt.Sprint(v) }
