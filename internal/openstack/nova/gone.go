package nova

import (
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

// goneNames are the operations that nova has removed and still answers, with 410
// (nova/api/openstack/compute/routes.py).
const goneNames = `
GET    /os-agents
POST   /os-agents
PUT    /os-agents/{id}
DELETE /os-agents/{id}
GET    /os-cells
POST   /os-cells
GET    /os-cells/capacities
GET    /os-cells/detail
GET    /os-cells/info
POST   /os-cells/sync_instances
GET    /os-cells/{id}
PUT    /os-cells/{id}
DELETE /os-cells/{id}
GET    /os-cells/{id}/capacities
POST   /os-certificates
GET    /os-certificates/{id}
GET    /os-cloudpipe
POST   /os-cloudpipe
PUT    /os-cloudpipe/{id}
GET    /os-fixed-ips/{id}
POST   /os-fixed-ips/{id}/action
GET    /os-floating-ip-dns
PUT    /os-floating-ip-dns/{id}
DELETE /os-floating-ip-dns/{id}
GET    /os-floating-ip-dns/{domain}/entries/{id}
PUT    /os-floating-ip-dns/{domain}/entries/{id}
DELETE /os-floating-ip-dns/{domain}/entries/{id}
GET    /os-floating-ips-bulk
POST   /os-floating-ips-bulk
GET    /os-floating-ips-bulk/{id}
PUT    /os-floating-ips-bulk/{id}
GET    /os-fping
GET    /os-fping/{id}
POST   /os-networks
POST   /os-networks/add
POST   /os-networks/{id}/action
DELETE /os-networks/{id}
POST   /os-tenant-networks
DELETE /os-tenant-networks/{id}
GET    /os-security-group-default-rules
POST   /os-security-group-default-rules
GET    /os-security-group-default-rules/{id}
DELETE /os-security-group-default-rules/{id}
`

func (a *api) goneRoutes() (out []wire.Route) {
	for line := range strings.Lines(strings.TrimSpace(goneNames)) {
		f := strings.Fields(line)
		name := strings.Split(f[1], "/")[1]
		out = append(out, route(f[0], f[1], wire.Anyone, name+":discoverable", gone))
	}
	return out
}

func gone(*wire.Request) (*wire.Response, error) {
	return nil, cloud.E("nova.gone", cloud.Gone, "This resource is no longer available. No forwarding address is given.")
}
