-- The networks that projects asked for without saying how.
-- +goose Up
CREATE TABLE auto_topologies (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    body TEXT NOT NULL
);

-- +goose Down
DROP TABLE auto_topologies;
