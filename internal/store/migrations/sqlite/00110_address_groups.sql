-- Addresses that security group rules name as one.
-- +goose Up
CREATE TABLE address_groups (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE INDEX address_groups_project_id ON address_groups (project_id);

-- +goose Down
DROP TABLE address_groups;
