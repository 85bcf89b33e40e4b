package neutron

import "hearth/internal/openstack/wire"

// versionRoutes are the documents that clients find the API by.
func (a *api) versionRoutes() []wire.Route {
	return []wire.Route{
		{Method: "GET", Path: "", Policy: wire.Allow(wire.Public, "versions"), Handler: versions},
		{Method: "GET", Path: rest, Policy: wire.Allow(wire.Anyone, "get_resources"), Handler: resources},
	}
}

func versions(r *wire.Request) (*wire.Response, error) {
	link := wire.M{"rel": "self", "href": r.Link(rest + "/")}
	return wire.JSON(wire.M{"versions": []wire.M{{"id": "v2.0", "status": "CURRENT", "links": []wire.M{link}}}}), nil
}

func resources(r *wire.Request) (*wire.Response, error) {
	out := []wire.M{}
	for _, k := range []kind{networkKind, subnetKind, portKind, routerKind, floatingKind, groupKind, ruleKind, poolKind, scopeKind, rbacKind, agentKind, zoneKind, useKind, qosKind} {
		out = append(out, wire.M{
			"name": k.name, "collection": k.collection, "links": []wire.M{{"rel": "self", "href": r.Link(rest + k.path)}},
		})
	}
	return wire.JSON(wire.M{"resources": out}), nil
}
