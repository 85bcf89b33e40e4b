package neutron

import (
	"time"

	"hearth/internal/openstack/wire"
	"hearth/internal/service/network"
)

func (a *api) networks() crud[network.NetworkView] {
	return crud[network.NetworkView]{
		kind: networkKind, render: renderNetwork,
		create: func(r *wire.Request, bodies []*body) ([]network.NetworkView, error) {
			reqs, err := requests(bodies, readNetwork)
			if err != nil {
				return nil, err
			}
			return a.svc.CreateNetworks(r.Context(), r.Caller, reqs...)
		},
		list: func(r *wire.Request, f network.Filter) ([]network.NetworkView, error) {
			return a.svc.ListNetworks(r.Context(), r.Caller, f)
		},
		get: func(r *wire.Request, id string) (network.NetworkView, error) {
			return a.svc.GetNetwork(r.Context(), r.Caller, id)
		},
		update: func(r *wire.Request, id string, b *body) (network.NetworkView, error) {
			req := readNetworkUpdate(b)
			if b.err != nil {
				return network.NetworkView{}, b.err
			}
			return a.svc.UpdateNetwork(r.Context(), r.Caller, id, req)
		},
		remove: func(r *wire.Request, id string) error { return a.svc.DeleteNetwork(r.Context(), r.Caller, id) },
	}
}

func readProvider(b *body) network.Provider {
	p := network.Provider{SegmentationID: b.whole("provider:segmentation_id")}
	if _, ok := b.get("provider:network_type"); ok {
		p.Type = b.text("provider:network_type")
	}
	if _, ok := b.get("provider:physical_network"); ok {
		p.PhysicalNetwork = b.text("provider:physical_network")
	}
	return p
}

func readNetwork(b *body) network.NetworkCreate {
	return network.NetworkCreate{
		ProjectID: b.word("project_id"), Name: value(b.text("name")), Description: value(b.text("description")),
		AdminStateUp: b.flag("admin_state_up"), Shared: b.flag("shared"), External: b.flag("router:external"),
		IsDefault: b.flag("is_default"), PortSecurity: b.flag("port_security_enabled"), MTU: b.whole("mtu"),
		DNSDomain: value(b.text("dns_domain")), QoSPolicyID: b.id("qos_policy_id"), Provider: readProvider(b),
	}
}

func readNetworkUpdate(b *body) network.NetworkUpdate {
	return network.NetworkUpdate{
		Name: b.text("name"), Description: b.text("description"), DNSDomain: b.text("dns_domain"), QoSPolicyID: b.id("qos_policy_id"),
		AdminStateUp: b.flag("admin_state_up"), Shared: b.flag("shared"), External: b.flag("router:external"),
		IsDefault: b.flag("is_default"), PortSecurity: b.flag("port_security_enabled"), MTU: b.whole("mtu"), Provider: readProvider(b),
	}
}

func renderNetwork(r *wire.Request, n network.NetworkView) wire.M {
	m := wire.M{
		"id": n.ID, "name": n.Name, "tenant_id": n.ProjectID, "project_id": n.ProjectID, "admin_state_up": n.AdminStateUp,
		"mtu": n.MTU, "status": "ACTIVE", "subnets": words(n.Subnets), "shared": n.Shared, "router:external": n.External,
		"port_security_enabled": n.PortSecurity, "dns_domain": n.DNSDomain, "availability_zone_hints": []string{},
		"availability_zones": []string{}, "qos_policy_id": null(n.QoSPolicyID), "ipv4_address_scope": null(n.Scope4), "ipv6_address_scope": null(n.Scope6),
	}
	if n.External {
		m["is_default"] = n.IsDefault
	}
	if r.Caller.IsAdmin() {
		m["provider:network_type"], m["provider:physical_network"], m["provider:segmentation_id"] = n.Type, null(n.PhysicalNetwork), nil
		if n.SegmentationID != 0 {
			m["provider:segmentation_id"] = n.SegmentationID
		}
	}
	return stamp(m, n.Description, n.Tags, n.CreatedAt, n.UpdatedAt, n.Revision)
}

// stamp adds the standard attributes.
func stamp(m wire.M, description string, tags []string, created, updated time.Time, revision int) wire.M {
	const form = "2006-01-02T15:04:05Z"
	m["description"], m["tags"], m["revision_number"] = description, words(tags), revision
	m["created_at"], m["updated_at"] = created.UTC().Format(form), updated.UTC().Format(form)
	return m
}

// words is a list that is [] when it is empty, not null.
func words(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// null is a text, or null when it is empty.
func null(s string) any {
	if s == "" {
		return nil
	}
	return s
}
