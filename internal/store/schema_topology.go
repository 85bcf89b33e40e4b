package store

import "hearth/internal/cloud"

var autoTopologySchema = schema[cloud.AutoTopology]{
	table: "auto_topologies", noun: "auto-allocated topology", key: func(t cloud.AutoTopology) string { return t.ProjectID },
	values: func(cloud.AutoTopology) columns { return columns{} },
}
