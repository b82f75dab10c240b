-- +goose Up

-- The oldest open invoice of a subscription: number, amount, due date and Stripe's page for
-- it, to be shown; null: there is none, or the key may not read invoices.
ALTER TABLE subscriptions ADD COLUMN open_invoice JSONB;

-- The name that a person wants the customer's organisation to have, until it has it, and
-- who wants it and why; '': none is wanted.
ALTER TABLE customers ADD COLUMN org_name_wanted TEXT NOT NULL DEFAULT '';
ALTER TABLE customers ADD COLUMN org_name_why TEXT NOT NULL DEFAULT '';
