-- What is imported, and the definitions of metadata.
-- +goose Up
CREATE TABLE image_tasks (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    image_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at BIGINT,
    expires_at BIGINT,
    body TEXT NOT NULL
);
CREATE INDEX image_tasks_image_id ON image_tasks (image_id);
CREATE INDEX image_tasks_project_id ON image_tasks (project_id);
CREATE INDEX image_tasks_status ON image_tasks (status);
CREATE INDEX image_tasks_expires_at ON image_tasks (expires_at);

CREATE TABLE metadef_namespaces (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    name TEXT NOT NULL,
    project_id TEXT NOT NULL,
    public BOOLEAN NOT NULL,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX metadef_namespaces_name ON metadef_namespaces (name);

CREATE TABLE metadef_items (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    namespace_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX metadef_items_namespace_id_kind_name ON metadef_items (namespace_id, kind, name);

-- +goose Down
DROP TABLE metadef_items;
DROP TABLE metadef_namespaces;
DROP TABLE image_tasks;
