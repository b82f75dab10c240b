-- +goose Up

-- The features of Stripe products, as Stripe Entitlements has them, for the products of
-- items that no other mapping covers.
CREATE TABLE product_features (
    product  TEXT NOT NULL PRIMARY KEY CHECK (product <> ''),
    -- The lookup keys of the last answer that showed any.
    keys     JSONB NOT NULL,
    -- When Stripe last answered with a list; NULL: never.
    read_at  TIMESTAMPTZ,
    -- When Stripe was last asked.
    asked_at TIMESTAMPTZ NOT NULL,
    -- It had keys, and Stripe last answered that it has none.
    emptied  BOOLEAN NOT NULL DEFAULT FALSE,
    -- Why the last answer cannot be used; '': it can.
    unread   TEXT NOT NULL DEFAULT ''
);
