-- +goose Up

-- What was on a hosting when the websites of its org were last listed.
ALTER TABLE hostings ADD COLUMN content TEXT CHECK (json_valid(content));
ALTER TABLE hostings ADD COLUMN content_read_at INTEGER;

-- The hosting that we ourselves wrote into the metadata of a subscription: what still
-- names it is no order of a person's. The journal tells it of what was written before.
ALTER TABLE subscriptions ADD COLUMN metadata_written INTEGER NOT NULL DEFAULT 0;
UPDATE subscriptions SET metadata_written = metadata_hosting WHERE metadata_hosting <> 0 AND EXISTS (
    SELECT 1 FROM actions WHERE kind = 'write_metadata' AND state IN ('applied', 'adopted')
        AND subscription_id = subscriptions.id AND hosting_id = subscriptions.metadata_hosting);
