package keystone

import (
	"crypto/sha256"
	"encoding/hex"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/identity"
)

func (a *api) catalogRoutes() []wire.Route {
	return []wire.Route{
		route("GET", "/v3/services", systemReader, "list_services", a.services),
		route("GET", "/v3/services/{service_id}", systemReader, "get_service", a.service),
		route("GET", "/v3/endpoints", systemReader, "list_endpoints", a.endpoints),
		route("GET", "/v3/endpoints/{endpoint_id}", systemReader, "get_endpoint", a.endpoint),
		route("GET", "/v3/regions", wire.Anyone, "list_regions", a.regions),
		route("GET", "/v3/regions/{region_id}", wire.Anyone, "get_region", a.region),
	}
}

// interfaces are those that every endpoint has; here they are the same.
var interfaces = []string{"public", "internal", "admin"}

// madeID is the id of something that is in the configuration, not in the store:
// always the same for the same thing.
func madeID(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p + "\x00"))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func serviceID(e identity.Endpoint) string { return madeID("service", e.Type, e.Name) }

// catalog is what a token lists, with addresses as the client reached the cloud.
func (a *api) catalog(r *wire.Request) []wire.M {
	out := []wire.M{}
	for _, e := range a.svc.Catalog() {
		var ends []wire.M
		for _, face := range interfaces {
			ends = append(ends, wire.M{
				"id": madeID("endpoint", serviceID(e), face), "interface": face, "region": a.svc.Region(), "region_id": a.svc.Region(),
				"url": r.BaseURL + e.Path,
			})
		}
		out = append(out, wire.M{"id": serviceID(e), "type": e.Type, "name": e.Name, "endpoints": ends})
	}
	return out
}

func (a *api) ownCatalog(r *wire.Request) (*wire.Response, error) {
	if c := r.Caller; c.ProjectID == "" && c.DomainID == "" && !c.System {
		return nil, cloud.E("keystone.catalog", cloud.Forbidden, "A scoped token is required to produce a service catalog: log in to a project")
	}
	return wire.JSON(wire.M{"catalog": a.catalog(r), "links": links(r)}), nil
}

func showService(r *wire.Request, e identity.Endpoint) wire.M {
	return wire.M{
		"id": serviceID(e), "type": e.Type, "name": e.Name, "enabled": true, "description": "",
		"links": wire.M{"self": r.Link("/v3/services/" + serviceID(e))},
	}
}

func (a *api) services(r *wire.Request) (*wire.Response, error) {
	q := r.URL.Query()
	var found []identity.Endpoint
	for _, e := range a.svc.Catalog() {
		if (!q.Has("type") || q.Get("type") == e.Type) && (!q.Has("name") || q.Get("name") == e.Name) {
			found = append(found, e)
		}
	}
	return list(r, "services", found, showService), nil
}

func (a *api) service(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("service_id")
	for _, e := range a.svc.Catalog() {
		if serviceID(e) == id {
			return one(200, "service", showService(r, e)), nil
		}
	}
	return nil, cloud.E("keystone.service", cloud.NotFound, "Could not find service: %s.", id)
}

// allEndpoints are the endpoints that a query asks for.
func (a *api) allEndpoints(r *wire.Request) []wire.M {
	q := r.URL.Query()
	out := []wire.M{}
	for _, e := range a.svc.Catalog() {
		for _, face := range interfaces {
			if q.Has("service_id") && q.Get("service_id") != serviceID(e) || q.Has("interface") && q.Get("interface") != face ||
				q.Has("region_id") && q.Get("region_id") != a.svc.Region() {
				continue
			}
			id := madeID("endpoint", serviceID(e), face)
			out = append(out, wire.M{
				"id": id, "service_id": serviceID(e), "interface": face, "url": r.BaseURL + e.Path, "enabled": true,
				"region": a.svc.Region(), "region_id": a.svc.Region(), "links": wire.M{"self": r.Link("/v3/endpoints/" + id)},
			})
		}
	}
	return out
}

func (a *api) endpoints(r *wire.Request) (*wire.Response, error) {
	return wire.JSON(wire.M{"endpoints": a.allEndpoints(r), "links": links(r)}), nil
}

func (a *api) endpoint(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("endpoint_id")
	for _, e := range a.allEndpoints(r) {
		if e["id"] == id {
			return one(200, "endpoint", e), nil
		}
	}
	return nil, cloud.E("keystone.endpoint", cloud.NotFound, "Could not find endpoint: %s.", id)
}

func showRegion(r *wire.Request, id string) wire.M {
	return wire.M{"id": id, "description": "", "parent_region_id": nil, "links": wire.M{"self": r.Link("/v3/regions/" + id)}}
}

func (a *api) regions(r *wire.Request) (*wire.Response, error) {
	return list(r, "regions", []string{a.svc.Region()}, showRegion), nil
}

func (a *api) region(r *wire.Request) (*wire.Response, error) {
	if id := r.PathValue("region_id"); id != a.svc.Region() {
		return nil, cloud.E("keystone.region", cloud.NotFound, "Could not find region: %s.", id)
	}
	return one(200, "region", showRegion(r, a.svc.Region())), nil
}
