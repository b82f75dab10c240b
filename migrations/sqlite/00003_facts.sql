-- +goose Up

-- The present spell of not being paid: when the subscription was last known to be
-- entitled, when the spell was first seen, and what its grace period counts from.
ALTER TABLE subscriptions ADD COLUMN entitled_at INTEGER;
ALTER TABLE subscriptions ADD COLUMN lapse_seen_at INTEGER;
ALTER TABLE subscriptions ADD COLUMN lapsed_since INTEGER;

-- Metadata that is there and cannot be read as an id, as it stands at Stripe.
ALTER TABLE subscriptions ADD COLUMN metadata_org_text TEXT NOT NULL DEFAULT '';
ALTER TABLE subscriptions ADD COLUMN metadata_hosting_text TEXT NOT NULL DEFAULT '';

-- Whoever is past_due has been judged by the oldest open invoice, and is judged by
-- the same date from now on: an upgrade resumes nobody and suspends nobody.
UPDATE subscriptions SET lapse_seen_at = status_since, lapsed_since = unpaid_since WHERE status IN ('past_due', 'unpaid');
UPDATE subscriptions SET entitled_at = read_at WHERE status IN ('active', 'trialing');

-- Domains were kept as they were typed; they are looked up and read again.
UPDATE subscriptions SET checkout_domain = '', domain_checked = 0 WHERE checkout_domain <> '';
