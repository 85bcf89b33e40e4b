-- Configuration of domains, and OAuth 1.0a.
-- +goose Up
CREATE TABLE domain_configs (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    body TEXT NOT NULL
);

CREATE TABLE oauth_consumers (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    body TEXT NOT NULL
);

CREATE TABLE oauth_requests (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    consumer_id TEXT COLLATE "C" NOT NULL,
    project_id TEXT COLLATE "C" NOT NULL,
    user_id TEXT COLLATE "C" NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX oauth_requests_consumer_id ON oauth_requests (consumer_id);
CREATE INDEX oauth_requests_project_id ON oauth_requests (project_id);
CREATE INDEX oauth_requests_user_id ON oauth_requests (user_id);

CREATE TABLE oauth_accesses (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    consumer_id TEXT COLLATE "C" NOT NULL,
    project_id TEXT COLLATE "C" NOT NULL,
    user_id TEXT COLLATE "C" NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX oauth_accesses_consumer_id ON oauth_accesses (consumer_id);
CREATE INDEX oauth_accesses_project_id ON oauth_accesses (project_id);
CREATE INDEX oauth_accesses_user_id ON oauth_accesses (user_id);

-- +goose Down
DROP TABLE domain_configs;
DROP TABLE oauth_consumers;
DROP TABLE oauth_requests;
DROP TABLE oauth_accesses;
