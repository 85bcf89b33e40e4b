package keystone

import (
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

// ruleIn is an access rule in a request: the id of one that is there, or what it
// says.
type ruleIn struct {
	ID      string `json:"id"`
	Service string `json:"service"`
	Method  string `json:"method"`
	Path    string `json:"path"`
}

// ruleMethods are those that a rule can be about.
var ruleMethods = []string{"DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"}

// wantedRules judges access rules by their form.
func wantedRules(in []ruleIn) (out []cloud.AccessRule, err error) {
	for _, r := range in {
		switch {
		case r.ID != "":
		case r.Service == "" || r.Path == "" || r.Path[0] != '/':
			return nil, cloud.E("keystone.rule", cloud.Invalid, "Invalid input for field 'access_rules': a rule has an id, or a service, a method and a path that begins with a slash")
		case !slices.Contains(ruleMethods, r.Method):
			return nil, cloud.E("keystone.rule", cloud.Invalid, "Invalid input for field 'access_rules': %q is not one of ['DELETE', 'GET', 'HEAD', 'PATCH', 'POST', 'PUT']", r.Method)
		}
		out = append(out, cloud.AccessRule{ID: r.ID, Service: r.Service, Method: r.Method, Path: r.Path})
	}
	return out, nil
}

func showRules(rules []cloud.AccessRule) []wire.M {
	out := make([]wire.M, len(rules))
	for i, r := range rules {
		out[i] = wire.M{"id": r.ID, "service": r.Service, "method": r.Method, "path": r.Path}
	}
	return out
}

func showRule(r *wire.Request, rule cloud.AccessRule) wire.M {
	out := showRules([]cloud.AccessRule{rule})[0]
	out["links"] = wire.M{"self": r.Link("/v3/users/" + rule.UserID + "/access_rules/" + rule.ID)}
	return out
}

func (a *api) accessRules(r *wire.Request) (*wire.Response, error) {
	q := r.URL.Query()
	found, err := a.svc.AccessRules(r.Context(), cloud.AccessRule{
		UserID: r.PathValue("user_id"), Service: q.Get("service"), Method: q.Get("method"), Path: q.Get("path"),
	})
	if err != nil {
		return nil, err
	}
	return list(r, "access_rules", found, showRule), nil
}

func (a *api) accessRule(r *wire.Request) (*wire.Response, error) {
	rule, err := a.svc.AccessRule(r.Context(), r.PathValue("user_id"), r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return one(200, "access_rule", showRule(r, rule)), nil
}

func (a *api) deleteAccessRule(r *wire.Request) (*wire.Response, error) {
	return done(a.svc.DeleteAccessRule(r.Context(), r.PathValue("user_id"), r.PathValue("id")))
}
