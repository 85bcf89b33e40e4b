package store

import "hearth/internal/cloud"

// The tables of the operator's side of the compute service, and of placement.
var (
	aggregateSchema = schema[cloud.Aggregate]{
		table: "aggregates", noun: "aggregate", key: cloud.Aggregate.Key,
		names: []string{"name", "created_at"}, types: "tm", unique: [][]string{{"name"}},
		values: func(a cloud.Aggregate) columns { return columns{a.Name, a.CreatedAt} },
	}
	serverGroupSchema = schema[cloud.ServerGroup]{
		table: "server_groups", noun: "server group", key: func(g cloud.ServerGroup) string { return g.ID },
		names: []string{"project_id", "user_id", "created_at"}, types: "ttm",
		values: func(g cloud.ServerGroup) columns { return columns{g.ProjectID, g.UserID, g.CreatedAt} },
	}
	pastServerSchema = schema[cloud.PastServer]{
		table: "past_servers", noun: "server of the past", key: func(p cloud.PastServer) string { return p.ID },
		names: []string{"project_id", "node", "created_at", "ended_at"}, types: "ttmm",
		values: func(p cloud.PastServer) columns { return columns{p.ProjectID, p.Node, p.CreatedAt, p.EndedAt} },
	}
	providerSchema = schema[cloud.ResourceProvider]{
		table: "resource_providers", noun: "resource provider", key: func(p cloud.ResourceProvider) string { return p.ID },
		names: []string{"name", "parent_id", "created_at"}, types: "ttm", unique: [][]string{{"name"}},
		values: func(p cloud.ResourceProvider) columns { return columns{p.Name, p.ParentID, p.CreatedAt} },
	}
	consumerSchema = schema[cloud.Consumer]{
		table: "placement_consumers", noun: "consumer", key: func(c cloud.Consumer) string { return c.ID },
		names: []string{"project_id", "created_at"}, types: "tm",
		values: func(c cloud.Consumer) columns { return columns{c.ProjectID, c.CreatedAt} },
	}
	osDefinitionSchema = schema[cloud.OSDefinition]{
		table: "os_definitions", noun: "definition", key: cloud.OSDefinition.Key,
		names: []string{"project_id", "name", "version", "created_at"}, types: "ttim",
		values: func(d cloud.OSDefinition) columns { return columns{d.ProjectID, d.Name, d.Version, d.CreatedAt} },
	}
	placementNameSchema = schema[cloud.PlacementName]{
		table: "placement_names", noun: "name in placement", key: cloud.PlacementName.Key,
		names: []string{"kind", "name"}, types: "tt",
		values: func(n cloud.PlacementName) columns { return columns{n.Kind, n.Name} },
	}
)

// operateShapes are the declarations of these tables.
func operateShapes() []shape {
	return []shape{
		aggregateSchema.shape(), serverGroupSchema.shape(), pastServerSchema.shape(), providerSchema.shape(), consumerSchema.shape(), placementNameSchema.shape(), osDefinitionSchema.shape(),
	}
}
