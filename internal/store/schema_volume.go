package store

import "hearth/internal/cloud"

// The tables of the volume service.
var (
	volumeSchema = schema[cloud.Volume]{
		table: "volumes", noun: "volume", key: func(v cloud.Volume) string { return v.ID },
		names: []string{"project_id", "name", "type_id", "snapshot_id", "source_id", "group_id", "node", "next_attempt_at", "created_at"}, types: "tttttttmm",
		values: func(v cloud.Volume) columns {
			return columns{v.ProjectID, v.Name, v.TypeID, v.SnapshotID, v.SourceID, v.GroupID, v.Node, v.NextAttemptAt, v.CreatedAt}
		},
	}
	volumeAttachmentSchema = schema[cloud.VolumeAttachment]{
		table: "volume_attachments", noun: "attachment", key: func(a cloud.VolumeAttachment) string { return a.ID },
		names: []string{"volume_id", "server_id", "project_id"}, types: "ttt",
		values: func(a cloud.VolumeAttachment) columns { return columns{a.VolumeID, a.ServerID, a.ProjectID} },
	}
	snapshotSchema = schema[cloud.Snapshot]{
		table: "volume_snapshots", noun: "snapshot", key: func(s cloud.Snapshot) string { return s.ID },
		names: []string{"project_id", "volume_id", "group_snapshot_id", "node", "next_attempt_at", "created_at"}, types: "ttttmm",
		values: func(s cloud.Snapshot) columns {
			return columns{s.ProjectID, s.VolumeID, s.GroupSnapshotID, s.Node, s.NextAttemptAt, s.CreatedAt}
		},
	}
	volumeUploadSchema = schema[cloud.VolumeUpload]{
		table: "volume_uploads", noun: "upload of a volume", key: func(u cloud.VolumeUpload) string { return u.ImageID },
		names: []string{"volume_id", "next_attempt_at"}, types: "tm",
		values: func(u cloud.VolumeUpload) columns { return columns{u.VolumeID, u.NextAttemptAt} },
	}
	volumeTypeSchema = schema[cloud.VolumeType]{
		table: "volume_types", noun: "volume type", key: func(t cloud.VolumeType) string { return t.ID },
		names: []string{"name", "qos_id", "created_at"}, types: "ttm", unique: [][]string{{"name"}},
		values: func(t cloud.VolumeType) columns { return columns{t.Name, t.QoSID, t.CreatedAt} },
	}
	volumeQoSSchema = schema[cloud.VolumeQoS]{
		table: "volume_qos_specs", noun: "QoS specification", key: func(q cloud.VolumeQoS) string { return q.ID },
		names: []string{"name", "created_at"}, types: "tm", unique: [][]string{{"name"}},
		values: func(q cloud.VolumeQoS) columns { return columns{q.Name, q.CreatedAt} },
	}
	volumeTransferSchema = schema[cloud.VolumeTransfer]{
		table: "volume_transfers", noun: "transfer", key: func(t cloud.VolumeTransfer) string { return t.ID },
		names: []string{"volume_id", "project_id", "created_at"}, types: "ttm",
		values: func(t cloud.VolumeTransfer) columns { return columns{t.VolumeID, t.ProjectID, t.CreatedAt} },
	}
	volumeMessageSchema = schema[cloud.VolumeMessage]{
		table: "volume_messages", noun: "message", key: func(m cloud.VolumeMessage) string { return m.ID },
		names: []string{"project_id", "resource_id", "expires_at", "created_at"}, types: "ttmm",
		values: func(m cloud.VolumeMessage) columns {
			return columns{m.ProjectID, m.ResourceID, m.ExpiresAt, m.CreatedAt}
		},
	}
	groupTypeSchema = schema[cloud.GroupType]{
		table: "volume_group_types", noun: "group type", key: func(t cloud.GroupType) string { return t.ID },
		names: []string{"name", "created_at"}, types: "tm", unique: [][]string{{"name"}},
		values: func(t cloud.GroupType) columns { return columns{t.Name, t.CreatedAt} },
	}
	volumeGroupSchema = schema[cloud.VolumeGroup]{
		table: "volume_groups", noun: "group", key: func(g cloud.VolumeGroup) string { return g.ID },
		names: []string{"project_id", "group_type_id", "created_at"}, types: "ttm",
		values: func(g cloud.VolumeGroup) columns { return columns{g.ProjectID, g.GroupTypeID, g.CreatedAt} },
	}
	groupSnapshotSchema = schema[cloud.GroupSnapshot]{
		table: "volume_group_snapshots", noun: "group snapshot", key: func(s cloud.GroupSnapshot) string { return s.ID },
		names: []string{"project_id", "group_id", "created_at"}, types: "ttm",
		values: func(s cloud.GroupSnapshot) columns { return columns{s.ProjectID, s.GroupID, s.CreatedAt} },
	}
)
