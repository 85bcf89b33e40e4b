package store

import "hearth/internal/cloud"

// The tables of trunks and of what routers count.
var (
	trunkSchema = schema[cloud.Trunk]{
		table: "trunks", noun: "trunk", key: func(t cloud.Trunk) string { return t.ID },
		names: []string{"project_id", "port_id", "created_at"}, types: "ttm",
		unique: [][]string{{"port_id"}},
		values: func(t cloud.Trunk) columns { return columns{t.ProjectID, t.PortID, t.CreatedAt} },
	}
	subPortSchema = schema[cloud.SubPort]{
		table: "trunk_subports", noun: "sub-port", key: func(p cloud.SubPort) string { return p.PortID },
		names: []string{"trunk_id", "vlan", "created_at"}, types: "tim",
		unique: [][]string{{"trunk_id", "vlan"}},
		values: func(p cloud.SubPort) columns { return columns{p.TrunkID, p.VLAN, p.CreatedAt} },
	}
	meteringLabelSchema = schema[cloud.MeteringLabel]{
		table: "metering_labels", noun: "metering label", key: func(l cloud.MeteringLabel) string { return l.ID },
		names: []string{"project_id", "created_at"}, types: "tm",
		values: func(l cloud.MeteringLabel) columns { return columns{l.ProjectID, l.CreatedAt} },
	}
	meteringRuleSchema = schema[cloud.MeteringRule]{
		table: "metering_label_rules", noun: "metering label rule", key: func(r cloud.MeteringRule) string { return r.ID },
		names: []string{"label_id", "created_at"}, types: "tm",
		values: func(r cloud.MeteringRule) columns { return columns{r.LabelID, r.CreatedAt} },
	}
)
