-- Servers' resizes, and tokens that open consoles.
-- +goose Up
CREATE TABLE server_migrations (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    server_id TEXT NOT NULL,
    outcome TEXT NOT NULL,
    created_at BIGINT,
    body TEXT NOT NULL
);
CREATE INDEX server_migrations_server_id ON server_migrations (server_id);
CREATE INDEX server_migrations_created_at ON server_migrations (created_at);

CREATE TABLE console_tokens (
    id TEXT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    server_id TEXT NOT NULL,
    expires_at BIGINT,
    body TEXT NOT NULL
);
CREATE INDEX console_tokens_server_id ON console_tokens (server_id);
CREATE INDEX console_tokens_expires_at ON console_tokens (expires_at);

-- +goose Down
DROP TABLE console_tokens;
DROP TABLE server_migrations;
