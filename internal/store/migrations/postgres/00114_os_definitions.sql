-- Definitions of how servers are made of images, with all their versions.
-- +goose Up
CREATE TABLE os_definitions (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    project_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE INDEX os_definitions_name ON os_definitions (name);

-- +goose Down
DROP TABLE os_definitions;
