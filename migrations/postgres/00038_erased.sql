-- +goose Up

-- When the name and the e-mail of a customer were erased; null: they were not.
ALTER TABLE customers ADD COLUMN erased_at TIMESTAMPTZ;

-- The org of such a customer: what the panel reports of its name and its owners is not
-- stored again.
ALTER TABLE orgs ADD COLUMN erased BOOLEAN NOT NULL DEFAULT FALSE;
