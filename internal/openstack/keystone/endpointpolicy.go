package keystone

import (
	"net/http"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

// endpointPolicyRoutes are the extension OS-ENDPOINT-POLICY: which policy document
// holds for which endpoint.
func (a *api) endpointPolicyRoutes() []wire.Route {
	const of = "/v3/policies/{policy_id}/OS-ENDPOINT-POLICY"
	const endpoint, service = of + "/endpoints/{endpoint_id}", of + "/services/{service_id}"
	routes := []wire.Route{
		route("GET", of+"/endpoints", wire.Admin, "list_endpoints_for_policy", a.policyEndpoints),
		route("GET", "/v3/endpoints/{endpoint_id}/OS-ENDPOINT-POLICY/policy", wire.Admin, "get_policy_for_endpoint", a.endpointPolicy),
	}
	for _, to := range []struct{ path, what string }{{endpoint, "endpoint"}, {service, "service"}, {service + "/regions/{region_id}", "region_and_service"}} {
		routes = append(
			routes,
			route("GET", to.path, wire.Admin, "check_policy_association_for_"+to.what, a.associated),
			route("PUT", to.path, wire.Admin, "create_policy_association_for_"+to.what, a.associate),
			route("DELETE", to.path, wire.Admin, "delete_policy_association_for_"+to.what, a.dissociate),
		)
	}
	return routes
}

// associationOf reads an association from the path.
func associationOf(r *wire.Request) cloud.PolicyAssociation {
	return cloud.PolicyAssociation{
		PolicyID: r.PathValue("policy_id"), EndpointID: r.PathValue("endpoint_id"), ServiceID: r.PathValue("service_id"), RegionID: r.PathValue("region_id"),
	}
}

func (a *api) associate(r *wire.Request) (*wire.Response, error) {
	return done(a.svc.Associate(r.Context(), associationOf(r)))
}

func (a *api) associated(r *wire.Request) (*wire.Response, error) {
	return done(a.svc.Associated(r.Context(), associationOf(r)))
}

func (a *api) dissociate(r *wire.Request) (*wire.Response, error) {
	return done(a.svc.Dissociate(r.Context(), associationOf(r)))
}

func (a *api) policyEndpoints(r *wire.Request) (*wire.Response, error) {
	found, err := a.svc.PolicyEndpoints(r.Context(), r.PathValue("policy_id"))
	if err != nil {
		return nil, err
	}
	return list(r, "endpoints", found, showEndpoint), nil
}

func (a *api) endpointPolicy(r *wire.Request) (*wire.Response, error) {
	p, err := a.svc.EndpointPolicy(r.Context(), r.PathValue("endpoint_id"))
	if err != nil {
		return nil, err
	}
	return one(http.StatusOK, "policy", showPolicy(r, p)), nil
}
