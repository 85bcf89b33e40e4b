package store

import (
	"slices"

	"hearth/internal/cloud"
)

// newTx gives a transaction its tables.
func newTx(r *run) *Tx {
	return &Tx{
		Domains: table(r, &domainSchema), Projects: table(r, &projectSchema), Users: table(r, &userSchema),
		Roles: table(r, &roleSchema), Assignments: table(r, &assignmentSchema), AppCreds: table(r, &appCredSchema),
		Revocations: table(r, &revocationSchema),

		Groups:           table(r, &groupSchema),
		Memberships:      table(r, &membershipSchema),
		ImpliedRoles:     table(r, &impliedRoleSchema),
		Regions:          table(r, &regionSchema),
		DomainConfigs:    table(r, &domainConfigSchema),
		OAuthConsumers:   table(r, &oauthConsumerSchema),
		OAuthRequests:    table(r, &oauthRequestSchema),
		OAuthAccesses:    table(r, &oauthAccessSchema),
		CatalogServices:  table(r, &catalogServiceSchema),
		CatalogEndpoints: table(r, &catalogEndpointSchema),
		EndpointGroups:   table(r, &endpointGroupSchema),
		EndpointLinks:    table(r, &endpointLinkSchema),
		Credentials:      table(r, &credentialSchema),
		Trusts:           table(r, &trustSchema),
		AccessRules:      table(r, &accessRuleSchema),
		PolicyBlobs:      table(r, &policyBlobSchema),
		PolicyLinks:      table(r, &policyLinkSchema),
		RegisteredLimits: table(r, &registeredLimitSchema),
		Limits:           table(r, &limitSchema),

		Images: table(r, &imageSchema), ImageMembers: table(r, &imageMemberSchema),
		ImageTasks: table(r, &imageTaskSchema), ImageLogs: table(r, &imageLogSchema), MetadefNamespaces: table(r, &metadefNamespaceSchema), MetadefItems: table(r, &metadefItemSchema),

		Flavors: table(r, &flavorSchema), Keypairs: table(r, &keypairSchema), Servers: table(r, &serverSchema),
		GoneServers: table(r, &goneServerSchema), EveryServer: Union[cloud.Server]{table(r, &everyServerSchema)},
		Migrations: table(r, &migrationSchema), ConsoleTokens: table(r, &consoleTokenSchema),
		Actions: table(r, &actionSchema), Hosts: table(r, &hostSchema),

		Networks: table(r, &networkSchema), Subnets: table(r, &subnetSchema), Ports: table(r, &portSchema),
		Allocations: table(r, &allocationSchema), Routers: table(r, &routerSchema), FloatingIPs: table(r, &floatingIPSchema),
		SecurityGroups: table(r, &securityGroupSchema), SecurityRules: table(r, &securityRuleSchema),
		AddressScopes: table(r, &addressScopeSchema), SubnetPools: table(r, &subnetPoolSchema), RBACPolicies: table(r, &rbacPolicySchema),
		QoSPolicies: table(r, &qosPolicySchema), PortForwardings: table(r, &portForwardingSchema), NetworkAgents: table(r, &networkAgentSchema),
		AutoTopologies: table(r, &autoTopologySchema),
		Trunks:         table(r, &trunkSchema), SubPorts: table(r, &subPortSchema),
		MeteringLabels: table(r, &meteringLabelSchema), MeteringRules: table(r, &meteringRuleSchema),
		AddressGroups: table(r, &addressGroupSchema),

		Volumes:           table(r, &volumeSchema),
		VolumeAttachments: table(r, &volumeAttachmentSchema),
		Snapshots:         table(r, &snapshotSchema),
		VolumeUploads:     table(r, &volumeUploadSchema),
		VolumeTypes:       table(r, &volumeTypeSchema),
		VolumeQoS:         table(r, &volumeQoSSchema),
		VolumeTransfers:   table(r, &volumeTransferSchema),
		VolumeMessages:    table(r, &volumeMessageSchema),
		GroupTypes:        table(r, &groupTypeSchema),
		VolumeGroups:      table(r, &volumeGroupSchema),
		GroupSnapshots:    table(r, &groupSnapshotSchema),
		Backups:           table(r, &backupSchema),
		DefaultTypes:      table(r, &volumeDefaultTypeSchema),

		Quotas: table(r, &quotaSchema), Settings: table(r, &settingSchema),
		Aggregates: table(r, &aggregateSchema), ServerGroups: table(r, &serverGroupSchema), PastServers: table(r, &pastServerSchema),
		Providers: table(r, &providerSchema), Consumers: table(r, &consumerSchema), PlacementNames: table(r, &placementNameSchema),
		OSDefinitions: table(r, &osDefinitionSchema),
		run:           r,
	}
}

// newShelves makes the shelf of each table.
func newShelves() map[string]any {
	m := map[string]any{}
	shelve(m, &domainSchema)
	shelve(m, &projectSchema)
	shelve(m, &userSchema)
	shelve(m, &roleSchema)
	shelve(m, &assignmentSchema)
	shelve(m, &appCredSchema)
	shelve(m, &revocationSchema)
	shelve(m, &domainConfigSchema)
	shelve(m, &oauthConsumerSchema)
	shelve(m, &oauthRequestSchema)
	shelve(m, &oauthAccessSchema)
	shelve(m, &groupSchema)
	shelve(m, &membershipSchema)
	shelve(m, &impliedRoleSchema)
	shelve(m, &regionSchema)
	shelve(m, &catalogServiceSchema)
	shelve(m, &catalogEndpointSchema)
	shelve(m, &endpointGroupSchema)
	shelve(m, &endpointLinkSchema)
	shelve(m, &credentialSchema)
	shelve(m, &trustSchema)
	shelve(m, &accessRuleSchema)
	shelve(m, &policyBlobSchema)
	shelve(m, &policyLinkSchema)
	shelve(m, &registeredLimitSchema)
	shelve(m, &limitSchema)
	shelve(m, &imageSchema)
	shelve(m, &imageMemberSchema)
	shelve(m, &imageTaskSchema)
	shelve(m, &metadefNamespaceSchema)
	shelve(m, &metadefItemSchema)
	shelve(m, &flavorSchema)
	shelve(m, &keypairSchema)
	shelve(m, &serverSchema)
	shelve(m, &goneServerSchema)
	shelve(m, &everyServerSchema)
	shelve(m, &actionSchema)
	shelve(m, &migrationSchema)
	shelve(m, &consoleTokenSchema)
	shelve(m, &hostSchema)
	shelve(m, &networkSchema)
	shelve(m, &subnetSchema)
	shelve(m, &portSchema)
	shelve(m, &allocationSchema)
	shelve(m, &routerSchema)
	shelve(m, &floatingIPSchema)
	shelve(m, &securityGroupSchema)
	shelve(m, &securityRuleSchema)
	shelve(m, &addressScopeSchema)
	shelve(m, &subnetPoolSchema)
	shelve(m, &rbacPolicySchema)
	shelve(m, &qosPolicySchema)
	shelve(m, &portForwardingSchema)
	shelve(m, &networkAgentSchema)
	shelve(m, &autoTopologySchema)
	shelve(m, &trunkSchema)
	shelve(m, &subPortSchema)
	shelve(m, &meteringLabelSchema)
	shelve(m, &meteringRuleSchema)
	shelve(m, &addressGroupSchema)
	shelve(m, &volumeSchema)
	shelve(m, &volumeAttachmentSchema)
	shelve(m, &snapshotSchema)
	shelve(m, &volumeUploadSchema)
	shelve(m, &volumeTypeSchema)
	shelve(m, &volumeQoSSchema)
	shelve(m, &volumeTransferSchema)
	shelve(m, &volumeMessageSchema)
	shelve(m, &groupTypeSchema)
	shelve(m, &volumeGroupSchema)
	shelve(m, &groupSnapshotSchema)
	shelve(m, &backupSchema)
	shelve(m, &volumeDefaultTypeSchema)
	shelve(m, &quotaSchema)
	shelve(m, &settingSchema)
	shelve(m, &aggregateSchema)
	shelve(m, &serverGroupSchema)
	shelve(m, &pastServerSchema)
	shelve(m, &providerSchema)
	shelve(m, &consumerSchema)
	shelve(m, &placementNameSchema)
	shelve(m, &osDefinitionSchema)
	shelve(m, &imageLogSchema)
	return m
}

func shelve[T any](m map[string]any, s *schema[T]) { m[s.table] = newShelf[T]() }

// shapes are the declarations that the migrations must match.
func shapes() []shape {
	return append(slices.Concat(identityShapes(), oauthShapes(), operateShapes()), []shape{
		domainSchema.shape(), projectSchema.shape(), userSchema.shape(), roleSchema.shape(), assignmentSchema.shape(),
		appCredSchema.shape(), revocationSchema.shape(), imageSchema.shape(), imageMemberSchema.shape(), flavorSchema.shape(),
		imageTaskSchema.shape(), imageLogSchema.shape(), metadefNamespaceSchema.shape(), metadefItemSchema.shape(),
		keypairSchema.shape(), serverSchema.shape(), goneServerSchema.shape(), actionSchema.shape(), migrationSchema.shape(), consoleTokenSchema.shape(), hostSchema.shape(), networkSchema.shape(),
		subnetSchema.shape(), portSchema.shape(), allocationSchema.shape(), routerSchema.shape(), floatingIPSchema.shape(),
		securityGroupSchema.shape(), securityRuleSchema.shape(), quotaSchema.shape(), settingSchema.shape(),
		addressScopeSchema.shape(), subnetPoolSchema.shape(), rbacPolicySchema.shape(), qosPolicySchema.shape(),
		portForwardingSchema.shape(), networkAgentSchema.shape(), autoTopologySchema.shape(),
		trunkSchema.shape(), subPortSchema.shape(), meteringLabelSchema.shape(), meteringRuleSchema.shape(), addressGroupSchema.shape(),
		volumeSchema.shape(), volumeAttachmentSchema.shape(), snapshotSchema.shape(), volumeUploadSchema.shape(), volumeTypeSchema.shape(),
		volumeQoSSchema.shape(), volumeTransferSchema.shape(), volumeMessageSchema.shape(), groupTypeSchema.shape(), volumeGroupSchema.shape(), groupSnapshotSchema.shape(),
		backupSchema.shape(), volumeDefaultTypeSchema.shape(),
	}...)
}
