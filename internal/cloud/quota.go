package cloud

// Quota is a limit that an operator set for a project (or, with ProjectID
// "default:<service>", for all). -1 is no limit. What is used is never stored:
// it is counted.
type Quota struct {
	Service   string // compute, network, volume, image
	ProjectID string
	UserID    string // of a limit for one user of the project; "" for the project's own
	Limits    map[string]int
}

// Key is the identity of a quota row.
func (q Quota) Key() string {
	if q.UserID != "" {
		return q.Service + "/" + q.ProjectID + "/" + q.UserID
	}
	return q.Service + "/" + q.ProjectID
}

// DefaultQuota gives the limits of a service where nobody set others
// (nova.conf [quota], neutron.conf [QUOTAS], cinder.conf [DEFAULT]).
func DefaultQuota(service string) map[string]int {
	switch service {
	case "compute":
		return map[string]int{
			"instances": 10, "cores": 20, "ram": 51200, "metadata_items": 128, "key_pairs": 100, "server_groups": 10,
			"server_group_members": 10, "injected_files": 5, "injected_file_content_bytes": 10240,
			"injected_file_path_bytes": 255, "fixed_ips": -1, "floating_ips": -1, "security_groups": -1,
			"security_group_rules": -1,
		}
	case "network":
		return map[string]int{
			"network": 100, "subnet": 100, "subnetpool": -1, "port": 500, "router": 10, "floatingip": 50,
			"security_group": 10, "security_group_rule": 100, "rbac_policy": 10, "trunk": -1,
		}
	case "volume":
		return map[string]int{
			"volumes": 10, "snapshots": 10, "gigabytes": 1000, "backups": 10, "backup_gigabytes": 1000, "groups": 10,
			"per_volume_gigabytes": -1,
		}
	}
	return map[string]int{}
}
