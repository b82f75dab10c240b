-- +goose Up

-- The day on which Stripe says that the subscription will end, which those with flexible
-- billing have in the place of cancel_at_period_end; null: none. And whether its customer
-- is sent invoices, so that an active subscription says nothing of a payment.
ALTER TABLE subscriptions ADD COLUMN cancel_at INTEGER;
ALTER TABLE subscriptions ADD COLUMN send_invoice INTEGER NOT NULL DEFAULT 0 CHECK (send_invoice IN (0, 1));
