-- Volumes, and what belongs to them.
-- +goose Up
CREATE TABLE volumes (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    type_id TEXT NOT NULL,
    snapshot_id TEXT NOT NULL,
    source_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
    node TEXT NOT NULL,
    next_attempt_at BIGINT,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE INDEX volumes_project_id ON volumes (project_id);
CREATE INDEX volumes_type_id ON volumes (type_id);
CREATE INDEX volumes_snapshot_id ON volumes (snapshot_id);
CREATE INDEX volumes_source_id ON volumes (source_id);
CREATE INDEX volumes_group_id ON volumes (group_id);
CREATE INDEX volumes_node ON volumes (node);
CREATE INDEX volumes_next_attempt_at ON volumes (next_attempt_at);
CREATE INDEX volumes_created_at ON volumes (created_at);

CREATE TABLE volume_attachments (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    volume_id TEXT NOT NULL,
    server_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX volume_attachments_volume_id ON volume_attachments (volume_id);
CREATE INDEX volume_attachments_server_id ON volume_attachments (server_id);
CREATE INDEX volume_attachments_project_id ON volume_attachments (project_id);

CREATE TABLE volume_snapshots (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    project_id TEXT NOT NULL,
    volume_id TEXT NOT NULL,
    group_snapshot_id TEXT NOT NULL,
    node TEXT NOT NULL,
    next_attempt_at BIGINT,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE INDEX volume_snapshots_project_id ON volume_snapshots (project_id);
CREATE INDEX volume_snapshots_volume_id ON volume_snapshots (volume_id);
CREATE INDEX volume_snapshots_group_snapshot_id ON volume_snapshots (group_snapshot_id);
CREATE INDEX volume_snapshots_next_attempt_at ON volume_snapshots (next_attempt_at);

CREATE TABLE volume_uploads (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    volume_id TEXT NOT NULL,
    next_attempt_at BIGINT,
    body TEXT NOT NULL
);
CREATE INDEX volume_uploads_volume_id ON volume_uploads (volume_id);
CREATE INDEX volume_uploads_next_attempt_at ON volume_uploads (next_attempt_at);

CREATE TABLE volume_types (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    name TEXT NOT NULL,
    qos_id TEXT NOT NULL,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX volume_types_name ON volume_types (name);
CREATE INDEX volume_types_qos_id ON volume_types (qos_id);

CREATE TABLE volume_qos_specs (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    name TEXT NOT NULL,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX volume_qos_specs_name ON volume_qos_specs (name);

CREATE TABLE volume_transfers (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    volume_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE INDEX volume_transfers_volume_id ON volume_transfers (volume_id);
CREATE INDEX volume_transfers_project_id ON volume_transfers (project_id);

CREATE TABLE volume_messages (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    project_id TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    expires_at BIGINT,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE INDEX volume_messages_project_id ON volume_messages (project_id);
CREATE INDEX volume_messages_expires_at ON volume_messages (expires_at);

CREATE TABLE volume_group_types (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    name TEXT NOT NULL,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX volume_group_types_name ON volume_group_types (name);

CREATE TABLE volume_groups (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    project_id TEXT NOT NULL,
    group_type_id TEXT NOT NULL,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE INDEX volume_groups_project_id ON volume_groups (project_id);
CREATE INDEX volume_groups_group_type_id ON volume_groups (group_type_id);

CREATE TABLE volume_group_snapshots (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    project_id TEXT NOT NULL,
    group_id TEXT NOT NULL,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE INDEX volume_group_snapshots_project_id ON volume_group_snapshots (project_id);
CREATE INDEX volume_group_snapshots_group_id ON volume_group_snapshots (group_id);

-- +goose Down
DROP TABLE volumes;
DROP TABLE volume_attachments;
DROP TABLE volume_snapshots;
DROP TABLE volume_uploads;
DROP TABLE volume_types;
DROP TABLE volume_qos_specs;
DROP TABLE volume_transfers;
DROP TABLE volume_messages;
DROP TABLE volume_group_types;
DROP TABLE volume_groups;
DROP TABLE volume_group_snapshots;
