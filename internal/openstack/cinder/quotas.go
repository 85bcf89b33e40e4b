package cinder

import (
	"encoding/json"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

func (a *api) quotaRoutes() []wire.Route {
	return []wire.Route{
		route("GET", "/os-quota-sets/{id}", wire.Reader, "volume_extension:quotas:show", a.showQuota),
		route("GET", "/os-quota-sets/{id}/defaults", wire.Reader, "volume_extension:quotas:show", a.defaultQuota),
		route("PUT", "/os-quota-sets/{id}", wire.Admin, "volume_extension:quotas:update", a.updateQuota),
		route("DELETE", "/os-quota-sets/{id}", wire.Admin, "volume_extension:quotas:delete", a.deleteQuota),
		route("GET", "/os-quota-class-sets/{id}", wire.Admin, "volume_extension:quota_classes:get", a.showClass),
		route("PUT", "/os-quota-class-sets/{id}", wire.Admin, "volume_extension:quota_classes:update", a.updateClass),
		route("GET", "/limits", wire.Reader, "limits_extension:used_limits", a.limits),
	}
}

// limitsView says limits, with an id unless that is "".
func limitsView(id string, limits map[string]int) wire.M {
	m := wire.M{}
	if id != "" {
		m["id"] = id
	}
	for name, limit := range limits {
		m[name] = limit
	}
	return m
}

func (a *api) showQuota(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("id")
	limits, used, err := a.svc.Quota(r.Context(), r.Caller, id)
	if err != nil {
		return nil, err
	}
	usage, err := wire.ParseBool("usage", r.URL.Query().Get("usage"))
	if err != nil || !usage {
		return wire.JSON(wire.M{"quota_set": limitsView(id, limits)}), nil
	}
	m := wire.M{"id": id}
	for name, limit := range limits {
		m[name] = wire.M{"limit": limit, "in_use": used[name], "reserved": 0}
	}
	return wire.JSON(wire.M{"quota_set": m}), nil
}

func (a *api) defaultQuota(r *wire.Request) (*wire.Response, error) {
	limits, err := a.svc.DefaultQuota(r.Context())
	return wire.JSON(wire.M{"quota_set": limitsView(r.PathValue("id"), limits)}), err
}

// limitsIn reads the limits of a body.
func limitsIn(r *wire.Request, member string) (map[string]int, error) {
	in := map[string]json.RawMessage{}
	if err := r.DecodeObject(member, &in); err != nil {
		return nil, err
	}
	if len(in) == 0 {
		return nil, cloud.E("cinder.quota", cloud.Invalid, "Invalid input for field/attribute %s. Value: {}. {} does not have enough properties", member)
	}
	limits := map[string]int{}
	for name, raw := range in {
		if name == "tenant_id" || name == "force" || name == "id" || name == "class_name" || name == "skip_validation" {
			continue
		}
		var n wire.Int
		if err := n.UnmarshalJSON(raw); err != nil {
			return nil, err
		}
		if n < -1 || n > 1<<31-1 {
			return nil, cloud.E("cinder.quota", cloud.Invalid, "Invalid input for field/attribute %s. Value: %d. It must be -1, for no limit, or a number up to 2147483647", name, n)
		}
		limits[name] = int(n)
	}
	return limits, nil
}

func (a *api) updateQuota(r *wire.Request) (*wire.Response, error) {
	set, err := limitsIn(r, "quota_set")
	if err != nil {
		return nil, err
	}
	limits, err := a.svc.SetQuota(r.Context(), r.PathValue("id"), set)
	return wire.JSON(wire.M{"quota_set": limitsView("", limits)}), err
}

func (a *api) deleteQuota(r *wire.Request) (*wire.Response, error) {
	return wire.JSON(nil), a.svc.DeleteQuota(r.Context(), r.PathValue("id"))
}

// defaultClass refuses any other class: what would it apply to?
func defaultClass(r *wire.Request) error {
	if r.PathValue("id") != "default" {
		return cloud.E("cinder.quotaClass", cloud.NotFound, "Quota class %s could not be found: there is the class default only.", r.PathValue("id"))
	}
	return nil
}

func (a *api) showClass(r *wire.Request) (*wire.Response, error) {
	limits, err := a.svc.DefaultQuota(r.Context())
	if err := wire.First(defaultClass(r), err); err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"quota_class_set": limitsView("default", limits)}), nil
}

func (a *api) updateClass(r *wire.Request) (*wire.Response, error) {
	set, err := limitsIn(r, "quota_class_set")
	if err := wire.First(defaultClass(r), err); err != nil {
		return nil, err
	}
	limits, err := a.svc.SetDefaultQuota(r.Context(), set)
	return wire.JSON(wire.M{"quota_class_set": limitsView("", limits)}), err
}

// limits says a project's limits and usage in the names of the limits API.
func (a *api) limits(r *wire.Request) (*wire.Response, error) {
	project := r.Caller.ProjectID
	q := r.URL.Query()
	if r.Version.AtLeast(39) && r.Caller.IsAdmin() {
		for _, name := range []string{"project_id", "tenant_id"} {
			if q.Get(name) != "" {
				project = q.Get(name)
			}
		}
	}
	limits, used, err := a.svc.Quota(r.Context(), r.Caller, project)
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"limits": wire.M{"rate": []any{}, "absolute": wire.M{
		"maxTotalVolumes": limits["volumes"], "maxTotalVolumeGigabytes": limits["gigabytes"], "maxTotalSnapshots": limits["snapshots"],
		"maxTotalBackups": limits["backups"], "maxTotalBackupGigabytes": limits["backup_gigabytes"], "totalVolumesUsed": used["volumes"],
		"totalGigabytesUsed": used["gigabytes"], "totalSnapshotsUsed": used["snapshots"], "totalBackupsUsed": used["backups"],
		"totalBackupGigabytesUsed": used["backup_gigabytes"],
	}}}), nil
}
