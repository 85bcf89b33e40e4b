package nova

import (
	"encoding/json"
	"slices"
	"strings"

	"hearth/internal/openstack/wire"
	"hearth/internal/service/compute"
)

func (a *api) quotaRoutes() []wire.Route {
	return []wire.Route{
		route("GET", "/os-quota-sets/{id}", wire.Reader, "os-quota-sets:show", a.showQuota),
		route("GET", "/os-quota-sets/{id}/detail", wire.Reader, "os-quota-sets:detail", a.detailQuota),
		route("GET", "/os-quota-sets/{id}/defaults", wire.Reader, "os-quota-sets:defaults", a.defaultQuota),
		route("PUT", "/os-quota-sets/{id}", wire.Admin, "os-quota-sets:update", a.updateQuota),
		route("DELETE", "/os-quota-sets/{id}", wire.Admin, "os-quota-sets:delete", a.deleteQuota),
		route("GET", "/os-quota-class-sets/{id}", wire.Admin, "os-quota-class-sets:show", a.showClass),
		route("PUT", "/os-quota-class-sets/{id}", wire.Admin, "os-quota-class-sets:update", a.updateClass),
		route("GET", "/limits", wire.Reader, "limits", a.limits),
	}
}

// classView says the limits of a class.
func classView(r *wire.Request, limits map[string]int, withID bool) *wire.Response {
	m := wire.M{}
	if withID {
		m["id"] = r.PathValue("id")
	}
	for name, limit := range limits {
		// The names of networks left in 2.50, and server groups came.
		if r.Version.AtLeast(50) && !shownQuota(r, name) || !r.Version.AtLeast(50) && strings.HasPrefix(name, "server_group") {
			continue
		}
		m[name] = limit
	}
	return wire.JSON(wire.M{"quota_class_set": m})
}

func (a *api) showClass(r *wire.Request) (*wire.Response, error) {
	limits, err := a.svc.ClassQuota(r.Context(), r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return classView(r, limits, true), nil
}

func (a *api) updateClass(r *wire.Request) (*wire.Response, error) {
	var in struct {
		Set map[string]json.RawMessage `json:"quota_class_set"`
	}
	name := r.PathValue("id")
	if err := wire.First(wire.Length("quota_class_name", name, 1, 255), a.schemas.decode(r, "quotas.json#/class", &in)); err != nil {
		return nil, err
	}
	limits, _, err := limitsOf(in.Set)
	if err != nil {
		return nil, err
	}
	all, err := a.svc.SetClassQuota(r.Context(), name, limits)
	if err != nil {
		return nil, err
	}
	return classView(r, all, false), nil
}

// shownQuota tells whether a resource is still in the API in a microversion:
// those of networks went in 2.36, those of injected files in 2.57.
func shownQuota(r *wire.Request, name string) bool {
	switch {
	case slices.Contains([]string{"fixed_ips", "floating_ips", "security_groups", "security_group_rules"}, name):
		return !r.Version.AtLeast(36)
	case strings.HasPrefix(name, "injected_"):
		return !r.Version.AtLeast(57)
	}
	return true
}

// quotaView says limits, each by what of makes of it.
func quotaView(r *wire.Request, project string, limits map[string]int, of func(name string, limit int) any) *wire.Response {
	m := wire.M{}
	if project != "" {
		m["id"] = project
	}
	for name, limit := range limits {
		if shownQuota(r, name) {
			m[name] = of(name, limit)
		}
	}
	return wire.JSON(wire.M{"quota_set": m})
}

func plain(_ string, limit int) any { return limit }

func (a *api) showQuota(r *wire.Request) (*wire.Response, error) {
	limits, _, err := a.svc.Quota(r.Context(), r.Caller, r.PathValue("id"), r.URL.Query().Get("user_id"))
	if err := wire.First(err, strict(r, "user_id")); err != nil {
		return nil, err
	}
	return quotaView(r, r.PathValue("id"), limits, plain), nil
}

func (a *api) detailQuota(r *wire.Request) (*wire.Response, error) {
	limits, used, err := a.svc.Quota(r.Context(), r.Caller, r.PathValue("id"), r.URL.Query().Get("user_id"))
	if err := wire.First(err, strict(r, "user_id")); err != nil {
		return nil, err
	}
	return quotaView(r, r.PathValue("id"), limits, func(name string, limit int) any {
		return wire.M{"limit": limit, "in_use": used.Of(name), "reserved": 0}
	}), nil
}

func (a *api) defaultQuota(r *wire.Request) (*wire.Response, error) {
	limits, err := a.svc.ClassQuota(r.Context(), "default")
	if err != nil {
		return nil, err
	}
	return quotaView(r, r.PathValue("id"), limits, plain), nil
}

func (a *api) updateQuota(r *wire.Request) (*wire.Response, error) {
	var in struct {
		Set map[string]json.RawMessage `json:"quota_set"`
	}
	if err := wire.First(a.schemas.decode(r, "quotas.json#/update", &in), strict(r, "user_id")); err != nil {
		return nil, err
	}
	limits, force, err := limitsOf(in.Set)
	if err != nil {
		return nil, err
	}
	all, err := a.svc.SetQuota(r.Context(), r.PathValue("id"), r.URL.Query().Get("user_id"), limits, force)
	if err != nil {
		return nil, err
	}
	return quotaView(r, "", all, plain), nil
}

func (a *api) deleteQuota(r *wire.Request) (*wire.Response, error) {
	if err := strict(r, "user_id"); err != nil {
		return nil, err
	}
	return wire.Accepted(nil), a.svc.DeleteQuota(r.Context(), r.PathValue("id"), r.URL.Query().Get("user_id"))
}

// limitsOf reads the limits of a body, and whether they are forced.
func limitsOf(set map[string]json.RawMessage) (limits map[string]int, force bool, err error) {
	limits = map[string]int{}
	for name, raw := range set {
		if name == "force" {
			if force, err = wire.ParseBool(name, unquoted(raw)); err != nil {
				return nil, false, err
			}
			continue
		}
		var n wire.Int
		if err := json.Unmarshal(raw, &n); err != nil {
			return nil, false, err
		}
		limits[name] = int(n)
	}
	return limits, force, nil
}

// limitNames are the resources by their names in /limits.
var limitNames = map[string][]string{
	"ram": {"maxTotalRAMSize"}, "instances": {"maxTotalInstances"}, "cores": {"maxTotalCores"}, "key_pairs": {"maxTotalKeypairs"},
	"floating_ips": {"maxTotalFloatingIps"}, "metadata_items": {"maxServerMeta", "maxImageMeta"}, "injected_files": {"maxPersonality"},
	"injected_file_content_bytes": {"maxPersonalitySize"}, "security_groups": {"maxSecurityGroups"},
	"security_group_rules": {"maxSecurityGroupRules"}, "server_groups": {"maxServerGroups"}, "server_group_members": {"maxServerGroupMembers"},
}

func (a *api) limits(r *wire.Request) (*wire.Response, error) {
	project := r.Caller.ProjectID
	if other := r.URL.Query().Get("tenant_id"); other != "" {
		project = other
	}
	limits, used, err := a.svc.Quota(r.Context(), r.Caller, project, "")
	if err := wire.First(err, strict(r, "tenant_id", "reserved")); err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"limits": wire.M{"rate": []any{}, "absolute": absolute(r, limits, used)}}), nil
}

// absolute is the limits and the usage under the names that /limits has.
func absolute(r *wire.Request, limits map[string]int, used compute.Usage) wire.M {
	m := wire.M{
		"totalRAMUsed": used.RAM, "totalCoresUsed": used.Cores, "totalInstancesUsed": used.Instances, "totalServerGroupsUsed": used.ServerGroups,
	}
	if !r.Version.AtLeast(36) {
		m["totalFloatingIpsUsed"], m["totalSecurityGroupsUsed"] = 0, 0
	}
	for name, limit := range limits {
		if !shownQuota(r, name) {
			continue
		}
		for _, as := range limitNames[name] {
			if as != "maxImageMeta" || !r.Version.AtLeast(39) {
				m[as] = limit
			}
		}
	}
	return m
}
