-- +goose Up

-- A person said that a hosting does not serve a subscription: nothing binds the two
-- again but another word. answered: it was said since what serves the unit instead.
CREATE TABLE partings (
    subscription_id TEXT COLLATE "C" NOT NULL REFERENCES subscriptions (id),
    hosting_id      BIGINT NOT NULL,
    slot            INTEGER NOT NULL CHECK (slot >= 1),
    org_id          TEXT COLLATE "C" NOT NULL,
    author          TEXT NOT NULL,
    reason          TEXT NOT NULL,
    parted_at       TIMESTAMPTZ NOT NULL,
    answered        BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (subscription_id, hosting_id)
);

-- How often a person has said what serves a customer. What a run decided before the
-- last time is not done.
ALTER TABLE customers ADD COLUMN words BIGINT NOT NULL DEFAULT 0;
