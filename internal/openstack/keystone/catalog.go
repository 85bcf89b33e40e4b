package keystone

import (
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

// catalog is what a token lists: a service with the endpoints that are enabled,
// by addresses as the client reached the cloud.
func (a *api) catalog(r *wire.Request, c cloud.Caller) ([]wire.M, error) {
	found, err := a.svc.Catalog(r.Context(), c.ProjectID)
	if err != nil {
		return nil, err
	}
	out := []wire.M{}
	for _, e := range found {
		ends := []wire.M{}
		for _, end := range e.Endpoints {
			url, ok := fillIn(address(r, end), c)
			if !ok {
				continue
			}
			ends = append(ends, wire.M{
				"id": end.ID, "interface": end.Interface, "region": orNull(end.RegionID), "region_id": orNull(end.RegionID), "url": url,
			})
		}
		out = append(out, wire.M{"id": e.Service.ID, "type": e.Service.Type, "name": e.Service.Name, "endpoints": ends})
	}
	return out, nil
}

// address is the URL of an endpoint; one that begins with a slash is below the
// address that the client used.
func address(r *wire.Request, e cloud.CatalogEndpoint) string {
	if strings.HasPrefix(e.URL, "/") {
		return r.BaseURL + e.URL
	}
	return e.URL
}

// fillIn puts the caller's ids into a URL such as http://host/v1/%(project_id)s;
// $( is the same as %(. It is not ok if the token has no such id: keystone leaves
// the endpoint out then.
func fillIn(url string, c cloud.Caller) (string, bool) {
	url = strings.ReplaceAll(url, "$(", "%(")
	for name, value := range map[string]string{"tenant_id": c.ProjectID, "project_id": c.ProjectID, "user_id": c.UserID} {
		mark := "%(" + name + ")s"
		if !strings.Contains(url, mark) {
			continue
		}
		if value == "" {
			return "", false
		}
		url = strings.ReplaceAll(url, mark, value)
	}
	return url, !strings.Contains(url, "%(")
}

func (a *api) ownCatalog(r *wire.Request) (*wire.Response, error) {
	c := r.Caller
	if c.ProjectID == "" {
		return nil, cloud.E("keystone.catalog", cloud.Forbidden, "A project-scoped token is required to produce a service catalog.")
	}
	found, err := a.catalog(r, c)
	if err != nil {
		return nil, err
	}
	return wire.JSON(wire.M{"catalog": found, "links": wire.M{"self": r.SelfLink()}}), nil
}
