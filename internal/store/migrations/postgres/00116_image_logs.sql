-- What was done to give images their bytes, step by step.
-- +goose Up
CREATE TABLE image_logs (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    image_id TEXT COLLATE "C" NOT NULL,
    started_at BIGINT,
    body TEXT NOT NULL
);
CREATE INDEX image_logs_image_id ON image_logs (image_id);

-- +goose Down
DROP TABLE image_logs;
