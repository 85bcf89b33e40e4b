-- Addresses that security group rules name as one.
-- +goose Up
CREATE TABLE address_groups (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    project_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE INDEX address_groups_project_id ON address_groups (project_id);

-- +goose Down
DROP TABLE address_groups;
