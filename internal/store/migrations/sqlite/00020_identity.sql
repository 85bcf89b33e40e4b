-- Groups, the catalog as rows, credentials, trusts, limits and the rest of the
-- identity service.
-- +goose Up
ALTER TABLE assignments ADD COLUMN group_id TEXT NOT NULL DEFAULT '';
CREATE INDEX assignments_group_id ON assignments (group_id);

CREATE TABLE user_groups (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    domain_id TEXT NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX user_groups_domain_id_name ON user_groups (domain_id, name);

CREATE TABLE memberships (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    group_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX memberships_group_id ON memberships (group_id);
CREATE INDEX memberships_user_id ON memberships (user_id);

CREATE TABLE implied_roles (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    prior_id TEXT NOT NULL,
    implied_id TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX implied_roles_prior_id ON implied_roles (prior_id);
CREATE INDEX implied_roles_implied_id ON implied_roles (implied_id);

CREATE TABLE regions (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    parent_id TEXT NOT NULL,
    body TEXT NOT NULL
);

CREATE TABLE catalog_services (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    type TEXT NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL
);

CREATE TABLE catalog_endpoints (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    service_id TEXT NOT NULL,
    interface TEXT NOT NULL,
    region_id TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX catalog_endpoints_service_id ON catalog_endpoints (service_id);
CREATE INDEX catalog_endpoints_region_id ON catalog_endpoints (region_id);

CREATE TABLE endpoint_groups (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL
);

CREATE TABLE endpoint_links (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    project_id TEXT NOT NULL,
    target TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX endpoint_links_project_id ON endpoint_links (project_id);
CREATE INDEX endpoint_links_target ON endpoint_links (target);

CREATE TABLE credentials (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    user_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    type TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX credentials_user_id ON credentials (user_id);
CREATE INDEX credentials_project_id ON credentials (project_id);

CREATE TABLE trusts (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    trustor_user_id TEXT NOT NULL,
    trustee_user_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    redelegated_trust_id TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX trusts_trustor_user_id ON trusts (trustor_user_id);
CREATE INDEX trusts_trustee_user_id ON trusts (trustee_user_id);
CREATE INDEX trusts_project_id ON trusts (project_id);

CREATE TABLE access_rules (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    user_id TEXT NOT NULL,
    service TEXT NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX access_rules_user_id_service_method_path ON access_rules (user_id, service, method, path);

CREATE TABLE policy_blobs (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    type TEXT NOT NULL,
    body TEXT NOT NULL
);

CREATE TABLE registered_limits (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    service_id TEXT NOT NULL,
    region_id TEXT NOT NULL,
    resource_name TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX registered_limits_service_id_region_id_resource_name ON registered_limits (service_id, region_id, resource_name);

CREATE TABLE project_limits (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    project_id TEXT NOT NULL,
    domain_id TEXT NOT NULL,
    registered_limit_id TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX project_limits_registered_limit_id_project_id_domain_id ON project_limits (registered_limit_id, project_id, domain_id);
CREATE INDEX project_limits_project_id ON project_limits (project_id);

-- +goose Down
DROP TABLE user_groups;
DROP TABLE memberships;
DROP TABLE implied_roles;
DROP TABLE regions;
DROP TABLE catalog_services;
DROP TABLE catalog_endpoints;
DROP TABLE endpoint_groups;
DROP TABLE endpoint_links;
DROP TABLE credentials;
DROP TABLE trusts;
DROP TABLE access_rules;
DROP TABLE policy_blobs;
DROP TABLE registered_limits;
DROP TABLE project_limits;
DROP INDEX assignments_group_id;
ALTER TABLE assignments DROP COLUMN group_id;
