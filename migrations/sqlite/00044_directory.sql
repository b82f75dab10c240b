-- +goose Up

-- For the page of the staff: search by a part of a name, an e-mail or a domain, and the
-- customers that fail. Each is read instead of its table, which is many times as large.
CREATE INDEX customers_names ON customers (id, name, email_key);
CREATE INDEX customers_failing ON customers (id) WHERE parked_at IS NOT NULL OR retry_after IS NOT NULL;
CREATE INDEX subscriptions_domains ON subscriptions (domain, checkout_domain, stripe_customer_id) WHERE domain <> '' OR checkout_domain <> '';
CREATE INDEX subscriptions_checkouts ON subscriptions (checkout_domain) WHERE checkout_domain <> '';
CREATE INDEX hostings_websites ON hostings (website, id) WHERE website <> '';
