package store

import "hearth/internal/cloud"

// columns are the indexed values of a row, in the order of the table's
// declaration. Allowed are string, bool, int64 and time.Time (zero is null).
type columns []any

// schema declares one noun's table. A new column or table needs a migration of
// the same shape in migrations/.
type schema[T any] struct {
	table  string
	key    func(T) string
	names  []string
	types  string // one letter a column: t text, b bool, i integer, m moment
	values func(T) columns
	unique [][]string // sets of columns that no two rows share
	noun   string     // for messages: "server"
	of     []string   // the tables that a union is read from; nil for a table
}

var (
	domainSchema = schema[cloud.Domain]{
		table: "domains", noun: "domain", key: func(d cloud.Domain) string { return d.ID },
		names: []string{"name", "enabled"}, types: "tb", unique: [][]string{{"name"}},
		values: func(d cloud.Domain) columns { return columns{d.Name, d.Enabled} },
	}
	projectSchema = schema[cloud.Project]{
		table: "projects", noun: "project", key: func(p cloud.Project) string { return p.ID },
		names: []string{"domain_id", "parent_id", "name", "enabled"}, types: "tttb", unique: [][]string{{"domain_id", "name"}},
		values: func(p cloud.Project) columns { return columns{p.DomainID, p.ParentID, p.Name, p.Enabled} },
	}
	userSchema = schema[cloud.User]{
		table: "users", noun: "user", key: func(u cloud.User) string { return u.ID },
		names: []string{"domain_id", "name", "enabled"}, types: "ttb", unique: [][]string{{"domain_id", "name"}},
		values: func(u cloud.User) columns { return columns{u.DomainID, u.Name, u.Enabled} },
	}
	roleSchema = schema[cloud.Role]{
		table: "roles", noun: "role", key: func(r cloud.Role) string { return r.ID },
		names: []string{"domain_id", "name"}, types: "tt", unique: [][]string{{"domain_id", "name"}},
		values: func(r cloud.Role) columns { return columns{r.DomainID, r.Name} },
	}
	assignmentSchema = schema[cloud.Assignment]{
		table: "assignments", noun: "role assignment", key: cloud.Assignment.Key,
		names: []string{"user_id", "group_id", "role_id", "project_id", "domain_id", "system"}, types: "tttttb",
		values: func(a cloud.Assignment) columns {
			return columns{a.UserID, a.GroupID, a.RoleID, a.ProjectID, a.DomainID, a.System}
		},
	}
	appCredSchema = schema[cloud.ApplicationCredential]{
		table: "application_credentials", noun: "application credential",
		key:   func(a cloud.ApplicationCredential) string { return a.ID },
		names: []string{"user_id", "name", "project_id"}, types: "ttt", unique: [][]string{{"user_id", "name"}},
		values: func(a cloud.ApplicationCredential) columns { return columns{a.UserID, a.Name, a.ProjectID} },
	}
	revocationSchema = schema[cloud.Revocation]{
		table: "revocations", noun: "revocation", key: func(r cloud.Revocation) string { return r.AuditID },
		names: []string{"expires_at"}, types: "m",
		values: func(r cloud.Revocation) columns { return columns{r.ExpiresAt} },
	}

	imageSchema = schema[cloud.Image]{
		table: "images", noun: "image", key: func(i cloud.Image) string { return i.ID },
		names: []string{"project_id", "name", "status", "visibility", "digest", "size", "container_format", "disk_format", "hidden", "created_at", "updated_at", "made_digest"},
		types: "tttttittbmmt",
		values: func(i cloud.Image) columns {
			return columns{i.ProjectID, i.Name, string(i.Status), string(i.Visibility), i.Digest, i.Size, i.ContainerFormat, i.DiskFormat, i.Hidden, i.CreatedAt, i.UpdatedAt, i.MadeDigest()}
		},
	}
	imageMemberSchema = schema[cloud.ImageMember]{
		table: "image_members", noun: "image member", key: cloud.ImageMember.Key,
		names: []string{"image_id", "project_id", "status"}, types: "ttt",
		values: func(m cloud.ImageMember) columns { return columns{m.ImageID, m.ProjectID, m.Status} },
	}

	flavorSchema = schema[cloud.Flavor]{
		table: "flavors", noun: "flavor", key: func(f cloud.Flavor) string { return f.ID },
		names: []string{"name", "memory_mb", "root_gb", "vcpus", "public", "created_at"}, types: "tiiibm", unique: [][]string{{"name"}},
		values: func(f cloud.Flavor) columns {
			return columns{f.Name, int64(f.MemoryMB), int64(f.RootGB), int64(f.VCPUs), f.Public, f.CreatedAt}
		},
	}
	keypairSchema = schema[cloud.Keypair]{
		table: "keypairs", noun: "keypair", key: cloud.Keypair.Key,
		names: []string{"user_id", "name"}, types: "tt",
		values: func(k cloud.Keypair) columns { return columns{k.UserID, k.Name} },
	}
	serverSchema = schema[cloud.Server]{
		table: "servers", noun: "server", key: func(s cloud.Server) string { return s.ID },
		names: []string{"project_id", "user_id", "name", "node", "image_id", "flavor_id", "status", "deleted", "next_attempt_at", "created_at", "updated_at", "hostname", "availability_zone"},
		types: "tttttttbmmmtt",
		values: func(s cloud.Server) columns {
			return columns{s.ProjectID, s.UserID, s.Name, s.Node, s.ImageID, s.Flavor.ID, s.Status(), s.Intent.Deleted, s.NextAttemptAt, s.CreatedAt, s.UpdatedAt, s.Hostname, s.AvailabilityZone}
		},
	}
	actionSchema = schema[cloud.ActionRecord]{
		table: "server_actions", noun: "server action", key: func(a cloud.ActionRecord) string { return a.ID },
		names: []string{"server_id", "request_id", "started_at"}, types: "ttm",
		values: func(a cloud.ActionRecord) columns { return columns{a.ServerID, a.RequestID, a.StartedAt} },
	}
	hostSchema = schema[cloud.Host]{
		table: "hosts", noun: "host", key: func(h cloud.Host) string { return h.Name },
		names: []string{"host_id", "availability_zone"}, types: "tt",
		values: func(h cloud.Host) columns { return columns{h.ID, h.AvailabilityZone} },
	}
)

// The tables of the network service.
var (
	networkSchema = schema[cloud.Network]{
		table: "networks", noun: "network", key: func(n cloud.Network) string { return n.ID },
		names: []string{"project_id", "name", "shared", "external", "physical_network", "segmentation_id", "created_at"}, types: "ttbbtim",
		values: func(n cloud.Network) columns {
			return columns{n.ProjectID, n.Name, n.Shared, n.External, n.PhysicalNetwork, int64(n.SegmentationID), n.CreatedAt}
		},
	}
	subnetSchema = schema[cloud.Subnet]{
		table: "subnets", noun: "subnet", key: func(s cloud.Subnet) string { return s.ID },
		names: []string{"network_id", "project_id", "name", "ip_version", "created_at"}, types: "tttim",
		values: func(s cloud.Subnet) columns {
			return columns{s.NetworkID, s.ProjectID, s.Name, int64(s.IPVersion), s.CreatedAt}
		},
	}
	portSchema = schema[cloud.Port]{
		table: "ports", noun: "port", key: func(p cloud.Port) string { return p.ID },
		names: []string{"network_id", "project_id", "name", "device_id", "device_owner", "mac", "host", "up", "created_at"}, types: "tttttttbm",
		unique: [][]string{{"network_id", "mac"}},
		values: func(p cloud.Port) columns {
			return columns{p.NetworkID, p.ProjectID, p.Name, p.DeviceID, p.DeviceOwner, p.MAC, p.Host, p.Up, p.CreatedAt}
		},
	}
	allocationSchema = schema[cloud.IPAllocation]{
		table: "ip_allocations", noun: "IP allocation", key: cloud.IPAllocation.Key,
		names: []string{"subnet_id", "ip", "port_id", "network_id"}, types: "tttt",
		values: func(a cloud.IPAllocation) columns { return columns{a.SubnetID, a.IP.String(), a.PortID, a.NetworkID} },
	}
	routerSchema = schema[cloud.Router]{
		table: "routers", noun: "router", key: func(r cloud.Router) string { return r.ID },
		names: []string{"project_id", "name", "gateway_network_id", "node", "created_at"}, types: "ttttm",
		values: func(r cloud.Router) columns {
			return columns{r.ProjectID, r.Name, r.GatewayNetworkID, r.Node, r.CreatedAt}
		},
	}
	floatingIPSchema = schema[cloud.FloatingIP]{
		table: "floating_ips", noun: "floating IP", key: func(f cloud.FloatingIP) string { return f.ID },
		names: []string{"project_id", "network_id", "port_id", "router_id", "ip", "fixed_ip", "created_at"}, types: "ttttttm",
		unique: [][]string{{"network_id", "ip"}},
		values: func(f cloud.FloatingIP) columns {
			return columns{f.ProjectID, f.NetworkID, f.PortID, f.RouterID, f.IP.String(), addr(f.FixedIP.IsValid(), f.FixedIP.String()), f.CreatedAt}
		},
	}
	securityGroupSchema = schema[cloud.SecurityGroup]{
		table: "security_groups", noun: "security group", key: func(g cloud.SecurityGroup) string { return g.ID },
		names: []string{"project_id", "name", "created_at"}, types: "ttm",
		values: func(g cloud.SecurityGroup) columns { return columns{g.ProjectID, g.Name, g.CreatedAt} },
	}
	securityRuleSchema = schema[cloud.SecurityRule]{
		table: "security_group_rules", noun: "security group rule", key: func(r cloud.SecurityRule) string { return r.ID },
		names: []string{"group_id", "project_id", "remote_group_id", "created_at"}, types: "tttm",
		values: func(r cloud.SecurityRule) columns {
			return columns{r.GroupID, r.ProjectID, r.RemoteGroupID, r.CreatedAt}
		},
	}
	quotaSchema = schema[cloud.Quota]{
		table: "quotas", noun: "quota", key: cloud.Quota.Key,
		names: []string{"service", "project_id"}, types: "tt",
		values: func(q cloud.Quota) columns { return columns{q.Service, q.ProjectID} },
	}
	settingSchema = schema[Setting]{
		table: "settings", noun: "setting", key: func(s Setting) string { return s.Name },
		values: func(Setting) columns { return nil },
	}
)

// addr is the text of an address column: "" for none.
func addr(valid bool, text string) string {
	if !valid {
		return ""
	}
	return text
}
