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

-- The charges that customers dispute, and those that were refunded in full.
CREATE TABLE disputes (
    -- Of the dispute, or of the refund.
    id                 TEXT NOT NULL PRIMARY KEY CHECK (id <> ''),
    stripe_customer_id TEXT NOT NULL CHECK (stripe_customer_id <> ''),
    -- The subscription whose invoice was charged, and that invoice; '': none.
    subscription_id    TEXT NOT NULL DEFAULT '',
    invoice_id         TEXT NOT NULL DEFAULT '',
    status             TEXT NOT NULL CHECK (status IN ('needs_response', 'under_review', 'lost', 'refunded')),
    amount             INTEGER NOT NULL,
    currency           TEXT NOT NULL,
    opened_at          INTEGER NOT NULL,
    -- When the newest invoice of the subscription was paid, of one that was lost.
    paid_at            INTEGER,
    payment_unread     INTEGER NOT NULL DEFAULT 0 CHECK (payment_unread IN (0, 1)),
    read_at            INTEGER NOT NULL
) STRICT;
CREATE INDEX disputes_customer ON disputes (stripe_customer_id);
