package keystone

import (
	"net/http"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/identity"
)

func (a *api) limitRoutes() []wire.Route {
	const each = "/v3/limits/{limit_id}"
	return []wire.Route{
		route("GET", "/v3/limits", wire.Anyone, "list_limits", a.limits),
		route("POST", "/v3/limits", wire.Admin, "create_limits", a.createLimits),
		route("GET", "/v3/limits/model", wire.Anyone, "get_limit_model", a.limitModel),
		route("GET", each, wire.Anyone, "get_limit", a.limit),
		route("PATCH", each, wire.Admin, "update_limit", a.updateLimit),
		route("DELETE", each, wire.Admin, "delete_limit", a.deleteLimit),
	}
}

func showLimit(r *wire.Request, l identity.LimitOf) wire.M {
	return wire.M{
		"id": l.ID, "project_id": orNull(l.ProjectID), "domain_id": orNull(l.DomainID), "service_id": l.Registered.ServiceID,
		"region_id": orNull(l.Registered.RegionID), "resource_name": l.Registered.ResourceName, "resource_limit": l.ResourceLimit,
		"description": orNull(l.Description), "links": wire.M{"self": r.Link("/v3/limits/" + l.ID)},
	}
}

// sees tells whether a limit is the caller's to see: of its project or domain.
func sees(c cloud.Caller, l identity.LimitOf) bool {
	return systemReader.Allow(c) || l.ProjectID != "" && l.ProjectID == c.ProjectID || l.DomainID != "" && l.DomainID == c.DomainID
}

func (a *api) limits(r *wire.Request) (*wire.Response, error) {
	q := r.URL.Query()
	found, err := a.svc.Limits(r.Context(), identity.LimitFilter{
		ProjectID: q.Get("project_id"), DomainID: q.Get("domain_id"), ServiceID: q.Get("service_id"), RegionID: q.Get("region_id"),
		ResourceName: q.Get("resource_name"),
	})
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(l identity.LimitOf) bool { return !sees(r.Caller, l) })
	return list(r, "limits", found, showLimit), nil
}

func (a *api) limitModel(*wire.Request) (*wire.Response, error) {
	return wire.JSON(wire.M{"model": wire.M{
		"name": "flat", "description": "Limit enforcement and validation does not take project hierarchy into consideration.",
	}}), nil
}

// limitIn is a limit in a request.
type limitIn struct {
	ProjectID     *string `json:"project_id"`
	DomainID      *string `json:"domain_id"`
	ServiceID     string  `json:"service_id"`
	RegionID      *string `json:"region_id"`
	ResourceName  string  `json:"resource_name"`
	ResourceLimit *int    `json:"resource_limit"`
	Description   *string `json:"description"`
}

func (in limitIn) limit() (l identity.LimitOf, err error) {
	const op = "keystone.limit"
	switch {
	case in.ServiceID == "" || in.ResourceName == "" || in.ResourceLimit == nil:
		return l, cloud.E(op, cloud.Invalid, "'service_id', 'resource_name' and 'resource_limit' are required properties")
	case (valueOr(in.ProjectID, "") == "") == (valueOr(in.DomainID, "") == ""):
		return l, cloud.E(op, cloud.Invalid, "a limit is of a project or of a domain: give exactly one of project_id and domain_id")
	}
	l.Limit = cloud.Limit{
		ProjectID: valueOr(in.ProjectID, ""), DomainID: valueOr(in.DomainID, ""), ResourceLimit: *in.ResourceLimit, Description: valueOr(in.Description, ""),
	}
	l.Registered = cloud.RegisteredLimit{ServiceID: in.ServiceID, RegionID: valueOr(in.RegionID, ""), ResourceName: in.ResourceName}
	return l, limitValue("resource_limit", in.ResourceLimit)
}

func (a *api) createLimits(r *wire.Request) (*wire.Response, error) {
	var in []limitIn
	if err := r.DecodeObject("limits", &in); err != nil {
		return nil, err
	}
	var want []identity.LimitOf
	for _, l := range in {
		limit, err := l.limit()
		if err != nil {
			return nil, err
		}
		want = append(want, limit)
	}
	made, err := a.svc.CreateLimits(r.Context(), want)
	if err != nil {
		return nil, err
	}
	resp := list(r, "limits", made, showLimit)
	resp.Status = http.StatusCreated
	return resp, nil
}

func (a *api) limit(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("limit_id")
	l, err := a.svc.Limit(r.Context(), id)
	if err != nil {
		return nil, missing(err, "limit for", id)
	}
	if !sees(r.Caller, l) {
		return nil, wire.Denied("identity:get_limit")
	}
	return one(http.StatusOK, "limit", showLimit(r, l)), nil
}

func (a *api) updateLimit(r *wire.Request) (*wire.Response, error) {
	var in struct {
		ResourceLimit *int    `json:"resource_limit"`
		Description   *string `json:"description"`
	}
	if err := r.DecodeObject("limit", &in); err != nil {
		return nil, err
	}
	if err := limitValue("resource_limit", in.ResourceLimit); err != nil {
		return nil, err
	}
	id := r.PathValue("limit_id")
	l, err := a.svc.UpdateLimit(r.Context(), id, in.ResourceLimit, in.Description)
	if err != nil {
		return nil, missing(err, "limit for", id)
	}
	return one(http.StatusOK, "limit", showLimit(r, l)), nil
}

func (a *api) deleteLimit(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("limit_id")
	return done(missing(a.svc.DeleteLimit(r.Context(), id), "limit for", id))
}
