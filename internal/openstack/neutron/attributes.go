package neutron

import "strings"

// attribute says what may be done with a member of a resource.
type attribute struct {
	create, update, required bool
	filter, sort             bool
	hidden                   bool // known to filters only
}

// attributes reads a table of attributes: words of a name and letters: c may be
// given at creation, u at update, r must be given, f may be filtered by, s
// sorted by, h is not shown.
func attributes(table string) map[string]attribute { return plain(standard + " " + table) }

// plain is attributes of a resource that has an owner but none of the standard
// attributes.
func plain(table string) map[string]attribute {
	out := map[string]attribute{}
	for _, word := range strings.Fields("id=fs tenant_id=cfs project_id=cfs " + table) {
		i := strings.LastIndexByte(word, '=')
		letters := word[i+1:]
		has := func(l string) bool { return strings.Contains(letters, l) }
		out[word[:i]] = attribute{
			create: has("c") || has("r"), required: has("r"), update: has("u"), filter: has("f"), sort: has("s"), hidden: has("h"),
		}
	}
	return out
}

// standard are the attributes of every resource, where its own table says nothing else.
const standard = "description=cufs created_at=s updated_at=s revision_number=fs " +
	"tags=f tags-any=fh not-tags=fh not-tags-any=fh"

// kind is a kind of resource.
type kind struct {
	name, collection string // "security_group", "security_groups"
	path             string // "/security-groups"
	attrs            map[string]attribute
}

var (
	networkKind = kind{"network", "networks", "/networks", attributes("name=cufs admin_state_up=cufs status=fs shared=cufs subnets= " +
		"mtu=cuf port_security_enabled=cuf router:external=cuf is_default=cuf dns_domain=cuf provider:network_type=cuf " +
		"provider:physical_network=cuf provider:segmentation_id=cuf availability_zone_hints= availability_zones= " +
		"qos_policy_id=cuf ipv4_address_scope=f ipv6_address_scope=f")}
	subnetKind = kind{"subnet", "subnets", "/subnets", attributes("name=cufs ip_version=rfs network_id=rfs cidr=cfs gateway_ip=cufs " +
		"allocation_pools=cu dns_nameservers=cu host_routes=cu enable_dhcp=cufs ipv6_ra_mode=cfs ipv6_address_mode=cfs " +
		"subnetpool_id=cfs service_types=cu shared=fh use_default_subnetpool=ch prefixlen=ch")}
	portKind = kind{"port", "ports", "/ports", attributes("name=cufs network_id=rfs admin_state_up=cufs mac_address=cufs fixed_ips=cuf " +
		"device_id=cufs device_owner=cufs status=fs security_groups=cuf port_security_enabled=cuf allowed_address_pairs=cu " +
		"extra_dhcp_opts=cu binding:host_id=cuf binding:vnic_type=cuf binding:profile=cu binding:vif_type= binding:vif_details= " +
		"dns_name=cuf dns_assignment= qos_policy_id=cuf tags=cf trunk_details=")}
	routerKind = kind{"router", "routers", "/routers", attributes("name=cufs admin_state_up=cufs status=fs external_gateway_info=cu " +
		"routes=u availability_zone_hints=c availability_zones=")}
	floatingKind = kind{"floatingip", "floatingips", "/floatingips", attributes("floating_network_id=rfs floating_ip_address=cfs " +
		"subnet_id=ch port_id=cuf fixed_ip_address=cufs router_id=fs status=fs port_details= port_forwardings= dns_name=c dns_domain=c")}
	groupKind = kind{"security_group", "security_groups", "/security-groups", attributes("name=cufs stateful=cuf shared=f security_group_rules=")}
	ruleKind  = kind{"security_group_rule", "security_group_rules", "/security-group-rules", attributes("security_group_id=rfs " +
		"direction=rfs ethertype=cfs protocol=cfs port_range_min=cfs port_range_max=cfs remote_ip_prefix=cfs remote_group_id=cfs " +
		"remote_address_group_id=cfs normalized_cidr= description=cf tags=")}
)
