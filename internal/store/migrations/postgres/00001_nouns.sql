-- One table for each noun: its key, the revision of the row, the noun as JSON,
-- and the columns that it is looked for by. Moments are microseconds since 1970.
-- +goose Up
CREATE TABLE domains (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    enabled BOOLEAN NOT NULL,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX domains_name ON domains (name);

CREATE TABLE projects (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    domain_id TEXT COLLATE "C" NOT NULL,
    parent_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    enabled BOOLEAN NOT NULL,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX projects_domain_id_name ON projects (domain_id, name);
CREATE INDEX projects_parent_id ON projects (parent_id);

CREATE TABLE users (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    domain_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    enabled BOOLEAN NOT NULL,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX users_domain_id_name ON users (domain_id, name);

CREATE TABLE roles (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    domain_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX roles_domain_id_name ON roles (domain_id, name);

CREATE TABLE assignments (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    user_id TEXT COLLATE "C" NOT NULL,
    role_id TEXT COLLATE "C" NOT NULL,
    project_id TEXT COLLATE "C" NOT NULL,
    domain_id TEXT COLLATE "C" NOT NULL,
    system BOOLEAN NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX assignments_user_id ON assignments (user_id);
CREATE INDEX assignments_project_id ON assignments (project_id);
CREATE INDEX assignments_role_id ON assignments (role_id);
CREATE INDEX assignments_domain_id ON assignments (domain_id);

CREATE TABLE application_credentials (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    user_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    project_id TEXT COLLATE "C" NOT NULL,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX application_credentials_user_id_name ON application_credentials (user_id, name);
CREATE INDEX application_credentials_project_id ON application_credentials (project_id);

CREATE TABLE revocations (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    expires_at BIGINT,
    body TEXT NOT NULL
);
CREATE INDEX revocations_expires_at ON revocations (expires_at);

CREATE TABLE images (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    project_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    visibility TEXT COLLATE "C" NOT NULL,
    digest TEXT COLLATE "C" NOT NULL,
    size BIGINT NOT NULL,
    container_format TEXT COLLATE "C" NOT NULL,
    disk_format TEXT COLLATE "C" NOT NULL,
    hidden BOOLEAN NOT NULL,
    created_at BIGINT,
    updated_at BIGINT,
    body TEXT NOT NULL
);
CREATE INDEX images_project_id ON images (project_id);
CREATE INDEX images_name ON images (name);
CREATE INDEX images_status ON images (status);
CREATE INDEX images_visibility ON images (visibility);
CREATE INDEX images_digest ON images (digest);
CREATE INDEX images_created_at ON images (created_at);

CREATE TABLE image_members (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    image_id TEXT COLLATE "C" NOT NULL,
    project_id TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX image_members_image_id ON image_members (image_id);
CREATE INDEX image_members_project_id ON image_members (project_id);

CREATE TABLE flavors (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    memory_mb BIGINT NOT NULL,
    root_gb BIGINT NOT NULL,
    vcpus BIGINT NOT NULL,
    public BOOLEAN NOT NULL,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX flavors_name ON flavors (name);

CREATE TABLE keypairs (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    user_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX keypairs_user_id ON keypairs (user_id);

CREATE TABLE servers (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    project_id TEXT COLLATE "C" NOT NULL,
    user_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    node TEXT COLLATE "C" NOT NULL,
    image_id TEXT COLLATE "C" NOT NULL,
    flavor_id TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    deleted BOOLEAN NOT NULL,
    next_attempt_at BIGINT,
    created_at BIGINT,
    updated_at BIGINT,
    hostname TEXT COLLATE "C" NOT NULL,
    availability_zone TEXT COLLATE "C" NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX servers_project_id ON servers (project_id);
CREATE INDEX servers_node ON servers (node);
CREATE INDEX servers_image_id ON servers (image_id);
CREATE INDEX servers_next_attempt_at ON servers (next_attempt_at);
CREATE INDEX servers_created_at ON servers (created_at);
CREATE INDEX servers_name ON servers (name);

CREATE TABLE server_actions (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    server_id TEXT COLLATE "C" NOT NULL,
    request_id TEXT COLLATE "C" NOT NULL,
    started_at BIGINT,
    body TEXT NOT NULL
);
CREATE INDEX server_actions_server_id ON server_actions (server_id);

CREATE TABLE hosts (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    host_id TEXT COLLATE "C" NOT NULL,
    availability_zone TEXT COLLATE "C" NOT NULL,
    body TEXT NOT NULL
);

CREATE TABLE networks (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    project_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    shared BOOLEAN NOT NULL,
    external BOOLEAN NOT NULL,
    physical_network TEXT COLLATE "C" NOT NULL,
    segmentation_id BIGINT NOT NULL,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE INDEX networks_project_id ON networks (project_id);
CREATE INDEX networks_name ON networks (name);

CREATE TABLE subnets (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    network_id TEXT COLLATE "C" NOT NULL,
    project_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    ip_version BIGINT NOT NULL,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE INDEX subnets_network_id ON subnets (network_id);
CREATE INDEX subnets_project_id ON subnets (project_id);

CREATE TABLE ports (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    network_id TEXT COLLATE "C" NOT NULL,
    project_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    device_id TEXT COLLATE "C" NOT NULL,
    device_owner TEXT COLLATE "C" NOT NULL,
    mac TEXT COLLATE "C" NOT NULL,
    host TEXT COLLATE "C" NOT NULL,
    up BOOLEAN NOT NULL,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX ports_network_id_mac ON ports (network_id, mac);
CREATE INDEX ports_device_id ON ports (device_id);
CREATE INDEX ports_project_id ON ports (project_id);
CREATE INDEX ports_host ON ports (host);
CREATE INDEX ports_name ON ports (name);

CREATE TABLE ip_allocations (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    subnet_id TEXT COLLATE "C" NOT NULL,
    ip TEXT COLLATE "C" NOT NULL,
    port_id TEXT COLLATE "C" NOT NULL,
    network_id TEXT COLLATE "C" NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX ip_allocations_subnet_id ON ip_allocations (subnet_id);
CREATE INDEX ip_allocations_port_id ON ip_allocations (port_id);
CREATE INDEX ip_allocations_network_id ON ip_allocations (network_id);

CREATE TABLE routers (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    project_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    gateway_network_id TEXT COLLATE "C" NOT NULL,
    node TEXT COLLATE "C" NOT NULL,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE INDEX routers_project_id ON routers (project_id);
CREATE INDEX routers_gateway_network_id ON routers (gateway_network_id);
CREATE INDEX routers_node ON routers (node);

CREATE TABLE floating_ips (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    project_id TEXT COLLATE "C" NOT NULL,
    network_id TEXT COLLATE "C" NOT NULL,
    port_id TEXT COLLATE "C" NOT NULL,
    router_id TEXT COLLATE "C" NOT NULL,
    ip TEXT COLLATE "C" NOT NULL,
    fixed_ip TEXT COLLATE "C" NOT NULL,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX floating_ips_network_id_ip ON floating_ips (network_id, ip);
CREATE INDEX floating_ips_project_id ON floating_ips (project_id);
CREATE INDEX floating_ips_port_id ON floating_ips (port_id);
CREATE INDEX floating_ips_router_id ON floating_ips (router_id);

CREATE TABLE security_groups (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    project_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE INDEX security_groups_project_id ON security_groups (project_id);
CREATE INDEX security_groups_name ON security_groups (name);

CREATE TABLE security_group_rules (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    group_id TEXT COLLATE "C" NOT NULL,
    project_id TEXT COLLATE "C" NOT NULL,
    remote_group_id TEXT COLLATE "C" NOT NULL,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE INDEX security_group_rules_group_id ON security_group_rules (group_id);
CREATE INDEX security_group_rules_remote_group_id ON security_group_rules (remote_group_id);
CREATE INDEX security_group_rules_project_id ON security_group_rules (project_id);

CREATE TABLE quotas (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    service TEXT COLLATE "C" NOT NULL,
    project_id TEXT COLLATE "C" NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX quotas_project_id ON quotas (project_id);

CREATE TABLE settings (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    body TEXT NOT NULL
);

-- +goose Down
DROP TABLE domains;
DROP TABLE projects;
DROP TABLE users;
DROP TABLE roles;
DROP TABLE assignments;
DROP TABLE application_credentials;
DROP TABLE revocations;
DROP TABLE images;
DROP TABLE image_members;
DROP TABLE flavors;
DROP TABLE keypairs;
DROP TABLE servers;
DROP TABLE server_actions;
DROP TABLE hosts;
DROP TABLE networks;
DROP TABLE subnets;
DROP TABLE ports;
DROP TABLE ip_allocations;
DROP TABLE routers;
DROP TABLE floating_ips;
DROP TABLE security_groups;
DROP TABLE security_group_rules;
DROP TABLE quotas;
DROP TABLE settings;
