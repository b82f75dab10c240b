-- +goose Up

-- Whether the mirror had the subscription when the nudge came: newcomers go first.
ALTER TABLE nudges ADD COLUMN known BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE nudges SET known = TRUE WHERE EXISTS (SELECT 1 FROM subscriptions s WHERE s.id = nudges.subscription_id);

-- The token of the lease whose process is following the nudge by its name, beside its
-- runs; 0: none is. While it is, no run takes the nudge, even if it came again.
ALTER TABLE nudges ADD COLUMN named BIGINT NOT NULL DEFAULT 0;

CREATE INDEX nudges_order ON nudges (taken, known, created_at DESC, subscription_id);
