package store

import "hearth/internal/cloud"

// The tables of the image service beside images and members.
var (
	imageTaskSchema = schema[cloud.ImageTask]{
		table: "image_tasks", noun: "image task", key: func(t cloud.ImageTask) string { return t.ID },
		names: []string{"image_id", "project_id", "status", "created_at", "expires_at"}, types: "tttmm",
		values: func(t cloud.ImageTask) columns {
			return columns{t.ImageID, t.ProjectID, string(t.Status), t.CreatedAt, t.ExpiresAt}
		},
	}
	imageLogSchema = schema[cloud.ImageLog]{
		table: "image_logs", noun: "log of an image", key: func(l cloud.ImageLog) string { return l.ID },
		names: []string{"image_id", "started_at"}, types: "tm",
		values: func(l cloud.ImageLog) columns { return columns{l.ImageID, l.Start} },
	}
	metadefNamespaceSchema = schema[cloud.MetadefNamespace]{
		table: "metadef_namespaces", noun: "metadata definition namespace", key: func(n cloud.MetadefNamespace) string { return n.ID },
		names: []string{"name", "project_id", "public", "created_at"}, types: "ttbm", unique: [][]string{{"name"}},
		values: func(n cloud.MetadefNamespace) columns {
			return columns{n.Name, n.ProjectID, n.Public, n.CreatedAt}
		},
	}
	metadefItemSchema = schema[cloud.MetadefItem]{
		table: "metadef_items", noun: "metadata definition", key: func(i cloud.MetadefItem) string { return i.ID },
		names: []string{"namespace_id", "kind", "name", "created_at"}, types: "tttm", unique: [][]string{{"namespace_id", "kind", "name"}},
		values: func(i cloud.MetadefItem) columns {
			return columns{i.NamespaceID, string(i.Kind), i.Name, i.CreatedAt}
		},
	}
)
