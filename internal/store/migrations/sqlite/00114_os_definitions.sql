-- Definitions of how servers are made of images, with all their versions.
-- +goose Up
CREATE TABLE os_definitions (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE INDEX os_definitions_name ON os_definitions (name);

-- +goose Down
DROP TABLE os_definitions;
