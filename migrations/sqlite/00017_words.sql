-- +goose Up

-- A person said that a hosting does not serve a subscription: nothing binds the two
-- again but another word. answered: it was said since what serves the unit instead.
CREATE TABLE partings (
    subscription_id TEXT NOT NULL REFERENCES subscriptions (id),
    hosting_id      INTEGER NOT NULL,
    slot            INTEGER NOT NULL CHECK (slot >= 1),
    org_id          TEXT NOT NULL,
    author          TEXT NOT NULL,
    reason          TEXT NOT NULL,
    parted_at       INTEGER NOT NULL,
    answered        INTEGER NOT NULL DEFAULT 0 CHECK (answered IN (0, 1)),
    PRIMARY KEY (subscription_id, hosting_id)
) STRICT;

-- How often a person has said what serves a customer. What a run decided before the
-- last time is not done.
ALTER TABLE customers ADD COLUMN words INTEGER NOT NULL DEFAULT 0;
