package store

import "hearth/internal/cloud"

// The tables of the identity service beyond the first.
var (
	groupSchema = schema[cloud.Group]{
		table: "user_groups", noun: "group", key: func(g cloud.Group) string { return g.ID },
		names: []string{"domain_id", "name"}, types: "tt", unique: [][]string{{"domain_id", "name"}},
		values: func(g cloud.Group) columns { return columns{g.DomainID, g.Name} },
	}
	membershipSchema = schema[cloud.Membership]{
		table: "memberships", noun: "membership", key: cloud.Membership.Key,
		names: []string{"group_id", "user_id"}, types: "tt",
		values: func(m cloud.Membership) columns { return columns{m.GroupID, m.UserID} },
	}
	impliedRoleSchema = schema[cloud.ImpliedRole]{
		table: "implied_roles", noun: "implied role", key: cloud.ImpliedRole.Key,
		names: []string{"prior_id", "implied_id"}, types: "tt",
		values: func(r cloud.ImpliedRole) columns { return columns{r.PriorID, r.ImpliedID} },
	}
	regionSchema = schema[cloud.Region]{
		table: "regions", noun: "region", key: func(r cloud.Region) string { return r.ID },
		names: []string{"parent_id"}, types: "t",
		values: func(r cloud.Region) columns { return columns{r.ParentID} },
	}
	catalogServiceSchema = schema[cloud.CatalogService]{
		table: "catalog_services", noun: "service", key: func(s cloud.CatalogService) string { return s.ID },
		names: []string{"type", "name"}, types: "tt",
		values: func(s cloud.CatalogService) columns { return columns{s.Type, s.Name} },
	}
	catalogEndpointSchema = schema[cloud.CatalogEndpoint]{
		table: "catalog_endpoints", noun: "endpoint", key: func(e cloud.CatalogEndpoint) string { return e.ID },
		names: []string{"service_id", "interface", "region_id"}, types: "ttt",
		values: func(e cloud.CatalogEndpoint) columns { return columns{e.ServiceID, e.Interface, e.RegionID} },
	}
	endpointGroupSchema = schema[cloud.EndpointGroup]{
		table: "endpoint_groups", noun: "endpoint group", key: func(g cloud.EndpointGroup) string { return g.ID },
		names: []string{"name"}, types: "t",
		values: func(g cloud.EndpointGroup) columns { return columns{g.Name} },
	}
	endpointLinkSchema = schema[cloud.EndpointLink]{
		table: "endpoint_links", noun: "endpoint link", key: cloud.EndpointLink.Key,
		names: []string{"project_id", "target"}, types: "tt",
		values: func(l cloud.EndpointLink) columns { return columns{l.ProjectID, l.Target} },
	}
	credentialSchema = schema[cloud.Credential]{
		table: "credentials", noun: "credential", key: func(c cloud.Credential) string { return c.ID },
		names: []string{"user_id", "project_id", "type"}, types: "ttt",
		values: func(c cloud.Credential) columns { return columns{c.UserID, c.ProjectID, c.Type} },
	}
	trustSchema = schema[cloud.Trust]{
		table: "trusts", noun: "trust", key: func(t cloud.Trust) string { return t.ID },
		names: []string{"trustor_user_id", "trustee_user_id", "project_id", "redelegated_trust_id"}, types: "tttt",
		values: func(t cloud.Trust) columns {
			return columns{t.TrustorUserID, t.TrusteeUserID, t.ProjectID, t.RedelegatedTrustID}
		},
	}
	accessRuleSchema = schema[cloud.AccessRule]{
		table: "access_rules", noun: "access rule", key: func(r cloud.AccessRule) string { return r.ID },
		names: []string{"user_id", "service", "method", "path"}, types: "tttt", unique: [][]string{{"user_id", "service", "method", "path"}},
		values: func(r cloud.AccessRule) columns { return columns{r.UserID, r.Service, r.Method, r.Path} },
	}
	policyLinkSchema = schema[cloud.PolicyAssociation]{
		table: "policy_associations", noun: "policy association", key: cloud.PolicyAssociation.Key,
		names: []string{"policy_id"}, types: "t",
		values: func(a cloud.PolicyAssociation) columns { return columns{a.PolicyID} },
	}
	policyBlobSchema = schema[cloud.PolicyBlob]{
		table: "policy_blobs", noun: "policy", key: func(p cloud.PolicyBlob) string { return p.ID },
		names: []string{"type"}, types: "t",
		values: func(p cloud.PolicyBlob) columns { return columns{p.Type} },
	}
	registeredLimitSchema = schema[cloud.RegisteredLimit]{
		table: "registered_limits", noun: "registered limit", key: func(l cloud.RegisteredLimit) string { return l.ID },
		names: []string{"service_id", "region_id", "resource_name"}, types: "ttt", unique: [][]string{{"service_id", "region_id", "resource_name"}},
		values: func(l cloud.RegisteredLimit) columns { return columns{l.ServiceID, l.RegionID, l.ResourceName} },
	}
	limitSchema = schema[cloud.Limit]{
		table: "project_limits", noun: "limit", key: func(l cloud.Limit) string { return l.ID },
		names: []string{"project_id", "domain_id", "registered_limit_id"}, types: "ttt", unique: [][]string{{"registered_limit_id", "project_id", "domain_id"}},
		values: func(l cloud.Limit) columns { return columns{l.ProjectID, l.DomainID, l.RegisteredLimitID} },
	}
)

// identityShapes are the declarations of this file.
func identityShapes() []shape {
	return []shape{
		groupSchema.shape(), membershipSchema.shape(), impliedRoleSchema.shape(), regionSchema.shape(),
		catalogServiceSchema.shape(), catalogEndpointSchema.shape(), endpointGroupSchema.shape(), endpointLinkSchema.shape(),
		credentialSchema.shape(), trustSchema.shape(), accessRuleSchema.shape(), policyBlobSchema.shape(), policyLinkSchema.shape(),
		registeredLimitSchema.shape(), limitSchema.shape(),
	}
}
