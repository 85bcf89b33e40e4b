-- Which policy holds for which endpoint or service.
-- +goose Up
CREATE TABLE policy_associations (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    policy_id TEXT COLLATE "C" NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX policy_associations_policy_id ON policy_associations (policy_id);

-- +goose Down
DROP TABLE policy_associations;
