-- Trunks with their sub-ports, and what routers count under which label.
-- +goose Up
CREATE TABLE trunks (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    project_id TEXT NOT NULL,
    port_id TEXT NOT NULL,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX trunks_port_id ON trunks (port_id);
CREATE INDEX trunks_project_id ON trunks (project_id);

CREATE TABLE trunk_subports (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    trunk_id TEXT NOT NULL,
    vlan BIGINT NOT NULL,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX trunk_subports_trunk_id_vlan ON trunk_subports (trunk_id, vlan);

CREATE TABLE metering_labels (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    project_id TEXT NOT NULL,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE INDEX metering_labels_project_id ON metering_labels (project_id);

CREATE TABLE metering_label_rules (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    label_id TEXT NOT NULL,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE INDEX metering_label_rules_label_id ON metering_label_rules (label_id);

-- +goose Down
DROP TABLE metering_label_rules;
DROP TABLE metering_labels;
DROP TABLE trunk_subports;
DROP TABLE trunks;
