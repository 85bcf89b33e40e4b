package neutron

import (
	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/network"
)

var useKind = kind{"network_ip_availability", "network_ip_availabilities", "/network-ip-availabilities", plain("network_id=fs network_name=fs " +
	"total_ips=s used_ips=s subnet_ip_availability= ip_version=fh")}

// availabilityRoutes are the routes of how many addresses networks have left.
func (a *api) availabilityRoutes() []wire.Route {
	policy := wire.Allow(wire.Admin, "get_network_ip_availability")
	return []wire.Route{
		{Method: "GET", Path: rest + useKind.path, Policy: policy, Handler: a.listUses},
		{Method: "GET", Path: rest + useKind.path + "/{id}", Policy: policy, Handler: a.showUse},
	}
}

func renderUse(u network.NetworkUse) wire.M {
	subnets := make([]wire.M, len(u.Subnets))
	for i, sub := range u.Subnets {
		subnets[i] = wire.M{
			"subnet_id": sub.ID, "subnet_name": sub.Name, "cidr": sub.CIDR.String(), "ip_version": sub.IPVersion, "total_ips": sub.Total, "used_ips": sub.Used,
		}
	}
	return wire.M{
		"network_id": u.ID, "network_name": u.Name, "tenant_id": u.ProjectID, "project_id": u.ProjectID, "total_ips": u.Total(), "used_ips": u.Used(),
		"subnet_ip_availability": subnets,
	}
}

func (a *api) listUses(r *wire.Request) (*wire.Response, error) {
	q := r.URL.Query()
	if err := checkFilters(useKind, q); err != nil {
		return nil, err
	}
	version := 0
	switch q.Get("ip_version") {
	case "4":
		version = 4
	case "6":
		version = 6
	case "":
	default:
		return nil, badRequest("Invalid input for operation: '%s' is not an IP version.", q.Get("ip_version"))
	}
	q.Del("ip_version")
	uses, err := a.svc.IPAvailability(r.Context(), r.Caller, network.Filter{IDs: narrow(q).NetworkIDs}, version)
	if err != nil {
		return nil, err
	}
	items := make([]wire.M, len(uses))
	for i, u := range uses {
		items[i] = renderUse(u)
	}
	return answerList(r, useKind, q, items)
}

func (a *api) showUse(r *wire.Request) (*wire.Response, error) {
	id := r.PathValue("id")
	uses, err := a.svc.IPAvailability(r.Context(), r.Caller, network.Filter{IDs: []string{id}}, 0)
	if err != nil {
		return nil, err
	}
	if len(uses) == 0 {
		return nil, cloud.E("neutron.availability", cloud.NotFound, "Network %s could not be found.", id)
	}
	return wire.JSON(wire.M{useKind.name: wire.Select(renderUse(uses[0]), wire.Fields(r.URL.Query()))}), nil
}
