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

-- The charges that customers dispute, and those that were refunded in full.
CREATE TABLE disputes (
    -- Of the dispute, or of the refund.
    id                 TEXT NOT NULL PRIMARY KEY CHECK (id <> ''),
    stripe_customer_id TEXT NOT NULL CHECK (stripe_customer_id <> ''),
    -- The subscription whose invoice was charged, and that invoice; '': none.
    subscription_id    TEXT NOT NULL DEFAULT '',
    invoice_id         TEXT NOT NULL DEFAULT '',
    status             TEXT NOT NULL CHECK (status IN ('needs_response', 'under_review', 'lost', 'refunded')),
    amount             BIGINT NOT NULL,
    currency           TEXT NOT NULL,
    opened_at          TIMESTAMPTZ NOT NULL,
    -- When the newest invoice of the subscription was paid, of one that was lost.
    paid_at            TIMESTAMPTZ,
    payment_unread     BOOLEAN NOT NULL DEFAULT FALSE,
    read_at            TIMESTAMPTZ NOT NULL
);
CREATE INDEX disputes_customer ON disputes (stripe_customer_id);
