// Package keystone says the identity service in the words of OpenStack's identity
// API v3 (https://docs.openstack.org/api-ref/identity/v3/), and answers at the
// root of the cloud's address, where clients look for it.
//
// Federation is not here: its paths answer 404.
package keystone

import (
	"net/http"
	"slices"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/identity"
)

// api is the identity API over its service.
type api struct{ svc *identity.Service }

// New makes the API. Its prefix is empty, so that it also answers, in keystone's
// way, what belongs to no other API.
func New(svc *identity.Service) wire.API {
	a := &api{svc}
	return wire.API{
		Name: "identity", Fault: wire.KeystoneFault, Media: onlyJSON,
		Routes: a.routes(), Options: true,
	}
}

// routes are all of them.
func (a *api) routes() []wire.Route {
	return slices.Concat(
		a.versionRoutes(), a.authRoutes(), a.domainRoutes(), a.projectRoutes(), a.tagRoutes(), a.userRoutes(), a.appCredRoutes(),
		a.roleRoutes(), a.impliedRoutes(), a.grantRoutes(), a.assignmentRoutes(), a.groupRoutes(), a.serviceRoutes(), a.endpointRoutes(),
		a.regionRoutes(), a.endpointGroupRoutes(), a.credentialRoutes(), a.keyPairRoutes(), a.signedRoutes(), a.trustRoutes(), a.policyRoutes(), a.endpointPolicyRoutes(), a.revokedRoutes(), a.registeredLimitRoutes(),
		a.limitRoutes(), a.domainConfigRoutes(), a.oauthRoutes(),
	)
}

// systemReader may read everything: keystone's default rule for lists.
var systemReader = wire.Rule{Name: "admin or system reader", Allow: func(c cloud.Caller) bool {
	return c.IsAdmin() || c.System && c.Has(cloud.RoleReader)
}}

// self is a user at its own things.
var self = wire.Rule{Name: "owner", Allow: func(cloud.Caller) bool { return false }, On: isSelf}

func isSelf(c cloud.Caller, path func(string) string) bool { return path("user_id") == c.UserID }

// or widens a rule by what the path says.
func or(rule wire.Rule, name string, on func(c cloud.Caller, path func(string) string) bool) wire.Rule {
	rule.Name, rule.On = rule.Name+" or "+name, on
	return rule
}

var (
	readerOrSelf = or(systemReader, "owner", isSelf)
	adminOrSelf  = or(wire.Admin, "owner", isSelf)
)

// route makes a route of the API; the policy's name is keystone's without
// "identity:".
func route(method, path string, rule wire.Rule, policy string, h wire.Handler) wire.Route {
	return wire.Route{Method: method, Path: path, Policy: wire.Allow(rule, "identity:"+policy), Handler: h}
}

// stamp writes a time as keystone does.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// stampOrNull writes a time that may not be.
func stampOrNull(t *time.Time) any {
	if t == nil {
		return nil
	}
	return stamp(*t)
}

// list answers a collection.
func list[T any](r *wire.Request, name string, items []T, show func(*wire.Request, T) wire.M) *wire.Response {
	out := make([]wire.M, 0, len(items))
	q := r.URL.Query()
	for _, v := range items {
		if m := show(r, v); compared(m, q) {
			out = append(out, m)
		}
	}
	return wire.JSON(wire.M{name: out, "links": links(r)})
}

func links(r *wire.Request) wire.M {
	return wire.M{"self": r.SelfLink(), "next": nil, "previous": nil}
}

// one answers a resource.
func one(status int, name string, v wire.M) *wire.Response {
	return &wire.Response{Status: status, Body: wire.M{name: v}}
}

// done answers 204, or the error.
func done(err error) (*wire.Response, error) {
	if err != nil {
		return nil, err
	}
	return &wire.Response{Status: http.StatusNoContent}, nil
}

// filter reads the filters of a list from its query.
func filter(r *wire.Request) (identity.Filter, error) {
	q := r.URL.Query()
	f := identity.Filter{Name: q.Get("name"), DomainID: q.Get("domain_id"), ParentID: q.Get("parent_id")}
	if text := q.Get("enabled"); text != "" {
		v, err := wire.ParseBool("enabled", text)
		if err != nil {
			return f, err
		}
		f.Enabled = &v
	}
	return f, nil
}

// flag reads a query parameter that is true by being there.
func flag(r *wire.Request, name string) bool {
	q := r.URL.Query()
	v := q.Get(name)
	return q.Has(name) && v != "0" && v != "false" && v != "False"
}
