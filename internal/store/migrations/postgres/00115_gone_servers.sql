-- Records of servers that are gone, with the columns of the servers, for lists of both.
-- +goose Up
CREATE TABLE gone_servers (
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
CREATE INDEX gone_servers_by_age ON gone_servers (project_id, created_at DESC, id, revision);
CREATE INDEX gone_servers_created_at ON gone_servers (created_at);
CREATE INDEX gone_servers_updated_at ON gone_servers (updated_at);

-- +goose Down
DROP TABLE gone_servers;
