package store

import "hearth/internal/cloud"

// The tables of what the network service has beside networks.
var (
	addressScopeSchema = schema[cloud.AddressScope]{
		table: "address_scopes", noun: "address scope", key: func(s cloud.AddressScope) string { return s.ID },
		names: []string{"project_id", "name", "created_at"}, types: "ttm",
		values: func(s cloud.AddressScope) columns { return columns{s.ProjectID, s.Name, s.CreatedAt} },
	}
	subnetPoolSchema = schema[cloud.SubnetPool]{
		table: "subnet_pools", noun: "subnet pool", key: func(p cloud.SubnetPool) string { return p.ID },
		names: []string{"project_id", "name", "address_scope_id", "created_at"}, types: "tttm",
		values: func(p cloud.SubnetPool) columns {
			return columns{p.ProjectID, p.Name, p.AddressScopeID, p.CreatedAt}
		},
	}
	addressGroupSchema = schema[cloud.AddressGroup]{
		table: "address_groups", noun: "address group", key: func(g cloud.AddressGroup) string { return g.ID },
		names: []string{"project_id", "name", "created_at"}, types: "ttm",
		values: func(g cloud.AddressGroup) columns { return columns{g.ProjectID, g.Name, g.CreatedAt} },
	}
	rbacPolicySchema = schema[cloud.RBACPolicy]{
		table: "rbac_policies", noun: "RBAC policy", key: func(p cloud.RBACPolicy) string { return p.ID },
		names: []string{"project_id", "object_type", "object_id", "action", "target", "created_at"}, types: "tttttm",
		unique: [][]string{{"object_id", "action", "target"}},
		values: func(p cloud.RBACPolicy) columns {
			return columns{p.ProjectID, p.ObjectType, p.ObjectID, p.Action, p.Target, p.CreatedAt}
		},
	}
	qosPolicySchema = schema[cloud.QoSPolicy]{
		table: "qos_policies", noun: "QoS policy", key: func(p cloud.QoSPolicy) string { return p.ID },
		names: []string{"project_id", "name", "created_at"}, types: "ttm",
		values: func(p cloud.QoSPolicy) columns { return columns{p.ProjectID, p.Name, p.CreatedAt} },
	}
	portForwardingSchema = schema[cloud.PortForwarding]{
		table: "port_forwardings", noun: "port forwarding", key: func(f cloud.PortForwarding) string { return f.ID },
		names: []string{"floatingip_id", "router_id", "port_id", "created_at"}, types: "tttm",
		values: func(f cloud.PortForwarding) columns {
			return columns{f.FloatingIPID, f.RouterID, f.PortID, f.CreatedAt}
		},
	}
	networkAgentSchema = schema[cloud.NetworkAgent]{
		table: "network_agents", noun: "network agent", key: func(a cloud.NetworkAgent) string { return a.ID },
		names: []string{"host", "disabled"}, types: "tb",
		values: func(a cloud.NetworkAgent) columns { return columns{a.Host, a.Off} },
	}
)
