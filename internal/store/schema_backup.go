package store

import "hearth/internal/cloud"

// The tables of backups, and of the projects' default volume types.
var (
	backupSchema = schema[cloud.Backup]{
		table: "volume_backups", noun: "backup", key: func(b cloud.Backup) string { return b.ID },
		names: []string{"project_id", "volume_id", "parent_id", "chain", "next_attempt_at", "created_at"}, types: "ttttmm",
		values: func(b cloud.Backup) columns {
			return columns{b.ProjectID, b.VolumeID, b.ParentID, b.Chain, b.NextAttemptAt, b.CreatedAt}
		},
	}
	volumeDefaultTypeSchema = schema[cloud.VolumeDefaultType]{
		table: "volume_default_types", noun: "default volume type", key: func(d cloud.VolumeDefaultType) string { return d.ProjectID },
		names: []string{"type_id"}, types: "t",
		values: func(d cloud.VolumeDefaultType) columns { return columns{d.TypeID} },
	}
)
