package keystone

import (
	"net/http"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/identity"
)

func (a *api) registeredLimitRoutes() []wire.Route {
	const each = "/v3/registered_limits/{registered_limit_id}"
	return []wire.Route{
		route("GET", "/v3/registered_limits", wire.Anyone, "list_registered_limits", a.registeredLimits),
		route("POST", "/v3/registered_limits", wire.Admin, "create_registered_limits", a.createRegisteredLimits),
		route("GET", each, wire.Anyone, "get_registered_limit", a.registeredLimit),
		route("PATCH", each, wire.Admin, "update_registered_limit", a.updateRegisteredLimit),
		route("DELETE", each, wire.Admin, "delete_registered_limit", a.deleteRegisteredLimit),
	}
}

func showRegistered(r *wire.Request, l cloud.RegisteredLimit) wire.M {
	return wire.M{
		"id": l.ID, "service_id": l.ServiceID, "region_id": orNull(l.RegionID), "resource_name": l.ResourceName, "default_limit": l.DefaultLimit,
		"description": orNull(l.Description), "links": wire.M{"self": r.Link("/v3/registered_limits/" + l.ID)},
	}
}

func (a *api) registeredLimits(r *wire.Request) (*wire.Response, error) {
	q := r.URL.Query()
	found, err := a.svc.RegisteredLimits(r.Context(), cloud.RegisteredLimit{
		ServiceID: q.Get("service_id"), RegionID: q.Get("region_id"), ResourceName: q.Get("resource_name"),
	})
	if err != nil {
		return nil, err
	}
	return list(r, "registered_limits", found, showRegistered), nil
}

// registeredIn is a registered limit in a request.
type registeredIn struct {
	ServiceID    *string `json:"service_id"`
	RegionID     *string `json:"region_id"`
	ResourceName *string `json:"resource_name"`
	DefaultLimit *int    `json:"default_limit"`
	Description  *string `json:"description"`
}

// check wants a limit of -1, which is none, or more, and a name.
func (in registeredIn) check() error {
	if in.ResourceName != nil {
		if err := wire.Length("resource_name", *in.ResourceName, 1, 255); err != nil {
			return err
		}
	}
	return limitValue("default_limit", in.DefaultLimit)
}

func limitValue(name string, value *int) error {
	if value != nil && (*value < -1 || *value > 0x7fffffff) {
		return cloud.E("keystone.limit", cloud.Invalid, "Invalid input for field '%s': %d is not between -1 and 2147483647", name, *value)
	}
	return nil
}

func (a *api) createRegisteredLimits(r *wire.Request) (*wire.Response, error) {
	var in []registeredIn
	if err := r.DecodeObject("registered_limits", &in); err != nil {
		return nil, err
	}
	var want []cloud.RegisteredLimit
	for _, l := range in {
		if l.ServiceID == nil || l.ResourceName == nil || l.DefaultLimit == nil {
			return nil, cloud.E("keystone.limit", cloud.Invalid, "'service_id', 'resource_name' and 'default_limit' are required properties")
		}
		if err := l.check(); err != nil {
			return nil, err
		}
		want = append(want, cloud.RegisteredLimit{
			ServiceID: *l.ServiceID, RegionID: valueOr(l.RegionID, ""), ResourceName: *l.ResourceName, DefaultLimit: *l.DefaultLimit,
			Description: valueOr(l.Description, ""),
		})
	}
	made, err := a.svc.CreateRegisteredLimits(r.Context(), want)
	if err != nil {
		return nil, err
	}
	resp := list(r, "registered_limits", made, showRegistered)
	resp.Status = http.StatusCreated
	return resp, nil
}

func (a *api) registeredLimit(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("registered_limit_id")
	l, err := a.svc.RegisteredLimit(r.Context(), id)
	if err != nil {
		return nil, missing(err, "registered limit for", id)
	}
	return one(http.StatusOK, "registered_limit", showRegistered(r, l)), nil
}

func (a *api) updateRegisteredLimit(r *wire.Request) (*wire.Response, error) {
	var in registeredIn
	if err := r.DecodeObject("registered_limit", &in); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	id := r.PathValue("registered_limit_id")
	if _, err := a.svc.RegisteredLimit(r.Context(), id); err != nil {
		return nil, missing(err, "registered limit for", id)
	}
	l, err := a.svc.UpdateRegisteredLimit(r.Context(), id, in.patch())
	if err != nil {
		return nil, err
	}
	return one(http.StatusOK, "registered_limit", showRegistered(r, l)), nil
}

func (in registeredIn) patch() identity.RegisteredLimitPatch {
	return identity.RegisteredLimitPatch{
		ServiceID: in.ServiceID, RegionID: in.RegionID, ResourceName: in.ResourceName, Description: in.Description, DefaultLimit: in.DefaultLimit,
	}
}

func (a *api) deleteRegisteredLimit(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("registered_limit_id")
	return done(missing(a.svc.DeleteRegisteredLimit(r.Context(), id), "registered limit for", id))
}
