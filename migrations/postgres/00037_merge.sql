-- +goose Up

-- Who has put the customer into the org of another one, and why; '': the evidence did.
ALTER TABLE customers ADD COLUMN org_why TEXT NOT NULL DEFAULT '';

-- Orgs of which a person has stated that they are not the customer's. No evidence leads the
-- customer into them again, only another statement.
CREATE TABLE org_partings (
    customer_id TEXT COLLATE "C" NOT NULL CHECK (customer_id <> ''),
    org_id      TEXT COLLATE "C" NOT NULL CHECK (org_id <> ''),
    why         TEXT NOT NULL,
    parted_at   TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (customer_id, org_id)
);
