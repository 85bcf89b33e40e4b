-- The disks that were made of images which are archives: which image has one.
-- +goose Up
ALTER TABLE images ADD COLUMN made_digest TEXT NOT NULL DEFAULT '';
CREATE INDEX images_made_digest ON images (made_digest);

-- +goose Down
DROP INDEX images_made_digest;
ALTER TABLE images DROP COLUMN made_digest;
