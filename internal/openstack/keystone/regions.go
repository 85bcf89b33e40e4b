package keystone

import (
	"maps"
	"net/http"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/identity"
)

func (a *api) regionRoutes() []wire.Route {
	const each = "/v3/regions/{region_id}"
	return []wire.Route{
		route("GET", "/v3/regions", wire.Anyone, "list_regions", a.regions),
		route("POST", "/v3/regions", wire.Admin, "create_region", a.createRegion),
		route("GET", each, wire.Anyone, "get_region", a.region),
		route("PUT", each, wire.Admin, "create_region", a.createRegion),
		route("PATCH", each, wire.Admin, "update_region", a.updateRegion),
		route("DELETE", each, wire.Admin, "delete_region", a.deleteRegion),
	}
}

func showRegion(r *wire.Request, v cloud.Region) wire.M {
	out := wire.M{}
	maps.Copy(out, v.Extra)
	maps.Copy(out, wire.M{
		"id": v.ID, "description": v.Description, "parent_region_id": orNull(v.ParentID), "links": wire.M{"self": r.Link("/v3/regions/" + v.ID)},
	})
	return out
}

func (a *api) regions(r *wire.Request) (*wire.Response, error) {
	found, err := a.svc.CatalogRegions(r.Context(), r.URL.Query().Get("parent_region_id"))
	if err != nil {
		return nil, err
	}
	return list(r, "regions", found, showRegion), nil
}

// createRegion makes a region with the id of the path, of the body, or one of its
// own making.
func (a *api) createRegion(r *wire.Request) (*wire.Response, error) {
	b, err := decode(r, "region")
	if err != nil {
		return nil, err
	}
	v := cloud.Region{ID: valueOr(b.text("id"), ""), Description: valueOr(b.text("description"), ""), ParentID: valueOr(b.text("parent_region_id"), "")}
	if b.err == nil {
		b.err = wire.Length("id", v.ID, 0, 255)
	}
	if id := r.PathValue("region_id"); id != "" && b.err == nil {
		if v.ID != "" && v.ID != id {
			b.err = cloud.E("keystone.region", cloud.Invalid, "The request's URL and body name different ids: %s and %s.", id, v.ID)
		}
		v.ID = id
	}
	if b.err != nil {
		return nil, b.err
	}
	v.Extra = b.extra()
	if v, err = a.svc.CreateRegion(r.Context(), v); err != nil {
		return nil, err
	}
	return one(http.StatusCreated, "region", showRegion(r, v)), nil
}

func (a *api) region(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("region_id")
	v, err := a.svc.CatalogRegion(r.Context(), id)
	if err != nil {
		return nil, missing(err, "region", id)
	}
	return one(http.StatusOK, "region", showRegion(r, v)), nil
}

func (a *api) updateRegion(r *wire.Request) (*wire.Response, error) {
	b, err := decode(r, "region")
	if err != nil {
		return nil, err
	}
	p := identity.RegionPatch{Description: b.text("description"), ParentID: b.text("parent_region_id")}
	if b.err != nil {
		return nil, b.err
	}
	p.Extra = b.extra()
	id := r.PathValue("region_id")
	if _, err := a.svc.CatalogRegion(r.Context(), id); err != nil {
		return nil, missing(err, "region", id)
	}
	v, err := a.svc.UpdateRegion(r.Context(), id, p)
	if err != nil {
		return nil, err
	}
	return one(http.StatusOK, "region", showRegion(r, v)), nil
}

func (a *api) deleteRegion(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("region_id")
	return done(missing(a.svc.DeleteRegion(r.Context(), id), "region", id))
}
