-- Aggregates, server groups, what is left of servers that are gone, and placement.
-- +goose Up
CREATE TABLE aggregates (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    name TEXT NOT NULL,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX aggregates_name ON aggregates (name);

CREATE TABLE server_groups (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    project_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE INDEX server_groups_project_id ON server_groups (project_id);

CREATE TABLE past_servers (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    project_id TEXT NOT NULL,
    node TEXT NOT NULL,
    created_at BIGINT,
    ended_at BIGINT,
    body TEXT NOT NULL
);
CREATE INDEX past_servers_project_id ON past_servers (project_id);
CREATE INDEX past_servers_ended_at ON past_servers (ended_at);

CREATE TABLE resource_providers (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    name TEXT NOT NULL,
    parent_id TEXT NOT NULL,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX resource_providers_name ON resource_providers (name);
CREATE INDEX resource_providers_parent_id ON resource_providers (parent_id);

CREATE TABLE placement_consumers (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    project_id TEXT NOT NULL,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE INDEX placement_consumers_project_id ON placement_consumers (project_id);

CREATE TABLE placement_names (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX placement_names_kind ON placement_names (kind);

-- +goose Down
DROP TABLE placement_names;
DROP TABLE placement_consumers;
DROP TABLE resource_providers;
DROP TABLE past_servers;
DROP TABLE server_groups;
DROP TABLE aggregates;
