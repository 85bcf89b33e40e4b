-- Address scopes, subnet pools, RBAC, QoS, port forwarding, and what operators say of
-- network agents.
-- +goose Up
CREATE TABLE address_scopes (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE INDEX address_scopes_project_id ON address_scopes (project_id);

CREATE TABLE subnet_pools (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    address_scope_id TEXT NOT NULL,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE INDEX subnet_pools_project_id ON subnet_pools (project_id);
CREATE INDEX subnet_pools_address_scope_id ON subnet_pools (address_scope_id);

CREATE TABLE rbac_policies (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    project_id TEXT NOT NULL,
    object_type TEXT NOT NULL,
    object_id TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX rbac_policies_object_id_action_target ON rbac_policies (object_id, action, target);
CREATE INDEX rbac_policies_project_id ON rbac_policies (project_id);
CREATE INDEX rbac_policies_target ON rbac_policies (target);

CREATE TABLE qos_policies (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE INDEX qos_policies_project_id ON qos_policies (project_id);

CREATE TABLE port_forwardings (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    floatingip_id TEXT NOT NULL,
    router_id TEXT NOT NULL,
    port_id TEXT NOT NULL,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE INDEX port_forwardings_floatingip_id ON port_forwardings (floatingip_id);
CREATE INDEX port_forwardings_router_id ON port_forwardings (router_id);
CREATE INDEX port_forwardings_port_id ON port_forwardings (port_id);

CREATE TABLE network_agents (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    host TEXT NOT NULL,
    disabled BOOLEAN NOT NULL,
    body TEXT NOT NULL
);

-- +goose Down
DROP TABLE address_scopes;
DROP TABLE subnet_pools;
DROP TABLE rbac_policies;
DROP TABLE qos_policies;
DROP TABLE port_forwardings;
DROP TABLE network_agents;
