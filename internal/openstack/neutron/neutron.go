// Package neutron is the network API, Networking v2.0: how networks are said in
// OpenStack's words. What a request means is service/network's.
//
// A resource is a file: its attributes, how it is rendered, how a body is read.
// What all have in common is in crud.go, body.go and list.go.
package neutron

import (
	"slices"

	"hearth/internal/openstack/wire"
	"hearth/internal/service/network"
)

// api is the network API over its service.
type api struct{ svc *network.Service }

// New makes the API, below /network.
func New(svc *network.Service) wire.API {
	a := &api{svc}
	return wire.API{
		Name: "network", Prefix: "/network", Fault: wire.NeutronFault(network.ProblemName),
		Routes: slices.Concat(
			a.versionRoutes(), a.extensionRoutes(), a.networks().routes(), a.subnets().routes(), a.ports().routes(),
			a.routers().routes(), a.routerActions(), a.floatingIPs().routes(), a.groups().routes(), a.rules().routes(),
			a.quotaRoutes(), a.tagRoutes(), a.pools().routes(), a.poolActions(), a.scopes().routes(), a.rbac().routes(), a.agentRoutes(),
			a.availabilityRoutes(), a.forwardingRoutes(), a.qosRoutes(), a.topologyRoutes(),
			a.trunks().routes(), a.trunkActions(), a.meteringRoutes(), a.markRoutes(), a.addressGroups().routes(), a.addressActions(),
		),
	}
}

// rest is the version's part of the path.
const rest = "/v2.0"
