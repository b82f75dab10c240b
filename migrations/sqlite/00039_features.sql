-- +goose Up

-- The features of Stripe products, as Stripe Entitlements has them, for the products of
-- items that no other mapping covers.
CREATE TABLE product_features (
    product  TEXT NOT NULL PRIMARY KEY CHECK (product <> ''),
    -- The lookup keys of the last answer that showed any.
    keys     TEXT NOT NULL CHECK (json_valid(keys)),
    -- When Stripe last answered with a list; NULL: never.
    read_at  INTEGER,
    -- When Stripe was last asked.
    asked_at INTEGER NOT NULL,
    -- It had keys, and Stripe last answered that it has none.
    emptied  INTEGER NOT NULL DEFAULT 0 CHECK (emptied IN (0, 1)),
    -- Why the last answer cannot be used; '': it can.
    unread   TEXT NOT NULL DEFAULT ''
) STRICT;
