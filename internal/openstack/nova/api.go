package nova

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/compute"
)

// MaxLimit is how many items a list holds at most (nova's api.max_limit).
const MaxLimit = 1000

// api is the handlers with what they need.
type api struct {
	svc     *compute.Service
	schemas *schemas
}

// New makes the compute API. Its routes are below /compute: the versions there,
// all else below /compute/v2.1.
func New(svc *compute.Service) wire.API {
	s, err := loadSchemas()
	if err != nil {
		panic(err) // the program itself is broken: the files are part of it
	}
	a := &api{svc: svc, schemas: s}
	routes := slices.Concat(a.versionRoutes(), a.serverRoutes(), volumesBoot(a.serverRoutes()), a.serverPartRoutes(), a.flavorRoutes(), a.keypairRoutes(),
		a.quotaRoutes(), a.hostRoutes(), a.groupRoutes(), a.imageRoutes(),
		a.interfaceRoutes(), a.attachmentRoutes(), a.volumeRoutes(),
		a.aggregateRoutes(), a.serverGroupRoutes(), a.usageRoutes(), a.oldHostRoutes(), a.proxyRoutes(), a.goneRoutes(), a.extensionRoutes(),
		a.migrationRoutes(), a.eventRoutes(), a.verbRoutes())
	return wire.API{
		Name: "compute", Prefix: "/compute", Fault: wire.NovaFault,
		Versions: wire.Microversions{Service: "compute", Legacy: "X-OpenStack-Nova-API-Version", Min: wire.Version{Major: 2, Minor: 1}, Max: wire.Version{Major: 2, Minor: 93}},
		Routes:   append(routes, legacy(routes)...),
		Projects: []string{"/v2.1", "/v2"}, Media: wire.Media("application/json", "application/vnd.openstack.compute+json"),
	}
}

// route makes a route of v2.1 with nova's policy name.
func route(method, path string, rule wire.Rule, policy string, h wire.Handler) wire.Route {
	return wire.Route{Method: method, Path: "/v2.1" + path, Policy: wire.Allow(rule, "os_compute_api:"+policy), Handler: h}
}

// since bounds a route to microversions from 2.n on.
func since(n int, r wire.Route) wire.Route {
	r.Min = wire.Version{Major: 2, Minor: n}
	return r
}

// until bounds a route to microversions up to 2.n.
func until(n int, r wire.Route) wire.Route {
	r.Max = wire.Version{Major: 2, Minor: n}
	return r
}

// actor is who asks, with the request's id for the history.
func actor(r *wire.Request) compute.Actor {
	return compute.Actor{Caller: r.Caller, RequestID: r.ID}
}

// link is an entry of "links".
type link struct {
	Rel  string `json:"rel"`
	Href string `json:"href"`
}

// linksTo are the links of a resource: with the version and without.
func linksTo(r *wire.Request, path string) []link {
	if r.Project != "" {
		path = "/" + r.Project + path
	}
	return []link{{"self", r.Link("/v2.1" + path)}, {"bookmark", r.Link(path)}}
}

// nextLinks is the link to the page after the marker.
func nextLinks(r *wire.Request, marker string) []link {
	return []link{{"next", r.NextLink(marker)}}
}

// stamp writes a moment as nova does.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// stampMicro writes a moment with its fraction and without a zone.
func stampMicro(t time.Time) string {
	b := t.UTC().AppendFormat(make([]byte, 0, 32), time.RFC3339) // which time writes quickest
	b = b[:len(b)-1]                                             // without the Z
	dot := len(b)
	b = strconv.AppendInt(b, int64(1_000_000+t.Nanosecond()/1000), 10) // seven digits
	b[dot] = '.'
	return string(b)
}

// orNull is null for "".
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// page reads limit and marker; nova refuses a limit that is no whole number.
func page(r *wire.Request) (limit int, marker string, err error) {
	q := r.URL.Query()
	limit = MaxLimit
	if q.Has("limit") {
		n, err := strconv.Atoi(q.Get("limit"))
		if err != nil || n < 0 {
			return 0, "", cloud.E("nova.page", cloud.Invalid, "Invalid input for query parameters limit. Value: %s. It must be a whole number that is not negative", q.Get("limit"))
		}
		limit = min(n, MaxLimit)
	}
	return limit, q.Get("marker"), nil
}

// strict refuses query parameters that nova does not know: from 2.75 on it says
// so, before it ignored them.
func strict(r *wire.Request, known ...string) error {
	return strictFrom(75, r, known...)
}

// strictFrom refuses query parameters that are not known from 2.n on: some lists
// said so before 2.75.
func strictFrom(n int, r *wire.Request, known ...string) error {
	if !r.Version.AtLeast(n) {
		return nil
	}
	for name := range r.URL.Query() {
		if !slices.Contains(known, name) {
			return cloud.E("nova.query", cloud.Invalid, "Additional properties are not allowed ('%s' was unexpected)", name)
		}
	}
	return nil
}

// acceptedAt answers 202 with a Location.
func acceptedAt(r *wire.Request, path string, body any) *wire.Response {
	resp := wire.Accepted(body)
	resp.Header = http.Header{"Location": {r.Link("/v2.1" + path)}}
	return resp
}
