-- +goose Up
-- only adds

-- The oldest mails are looked at, a few in each run, and pruned.
CREATE INDEX mails_old ON mails (at, key);
