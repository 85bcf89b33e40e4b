-- Backups of volumes, and the volume types that projects have by default.
-- +goose Up
CREATE TABLE volume_backups (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    project_id TEXT NOT NULL,
    volume_id TEXT NOT NULL,
    parent_id TEXT NOT NULL,
    chain TEXT NOT NULL,
    next_attempt_at BIGINT,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE INDEX volume_backups_project_id ON volume_backups (project_id);
CREATE INDEX volume_backups_volume_id ON volume_backups (volume_id);
CREATE INDEX volume_backups_parent_id ON volume_backups (parent_id);
CREATE INDEX volume_backups_next_attempt_at ON volume_backups (next_attempt_at);

CREATE TABLE volume_default_types (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    type_id TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX volume_default_types_type_id ON volume_default_types (type_id);

-- +goose Down
DROP TABLE volume_default_types;
DROP TABLE volume_backups;
