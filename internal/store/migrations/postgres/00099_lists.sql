-- The lists that are asked for most are answered from an index alone, in its
-- order: without sorting, and without reading a row to find its revision.
-- +goose Up
CREATE INDEX servers_by_age ON servers (project_id, created_at DESC NULLS LAST, id, revision);
DROP INDEX servers_project_id;
CREATE INDEX ports_by_project ON ports (project_id, id, device_owner, revision);
DROP INDEX ports_project_id;

-- +goose Down
CREATE INDEX servers_project_id ON servers (project_id);
DROP INDEX servers_by_age;
CREATE INDEX ports_project_id ON ports (project_id);
DROP INDEX ports_by_project;
