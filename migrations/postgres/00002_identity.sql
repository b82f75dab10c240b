-- +goose Up

-- A paying party is one Stripe customer. Several of them with one address may share
-- an org: the first keeps the naming of it, the others are guests in it.
DROP INDEX customers_org;
CREATE INDEX customers_org ON customers (org_id) WHERE org_id IS NOT NULL;
ALTER TABLE customers ADD COLUMN org_guest BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE customers ADD COLUMN invited_email TEXT NOT NULL DEFAULT '';

-- What a Stripe customer's address was before it changed, and when we saw that.
ALTER TABLE stripe_customers ADD COLUMN former_email TEXT NOT NULL DEFAULT '';
ALTER TABLE stripe_customers ADD COLUMN email_changed_at TIMESTAMPTZ;

-- The members of an org with the role Owner, as last read by the org's id: a JSON
-- list of addresses. NULL: never read.
ALTER TABLE orgs ADD COLUMN owners JSONB;
ALTER TABLE orgs ADD COLUMN owners_read_at TIMESTAMPTZ;
