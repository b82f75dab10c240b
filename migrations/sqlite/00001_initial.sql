-- +goose Up

-- Times are microseconds since 1970 UTC, booleans 0 and 1, JSON is text. To read a
-- time in the shell: datetime(due_at / 1000000, 'unixepoch').

CREATE TABLE leases (
    name        TEXT NOT NULL PRIMARY KEY,
    owner       TEXT NOT NULL,
    token       INTEGER NOT NULL CHECK (token > 0),
    expires_at  INTEGER NOT NULL,
    file_locked INTEGER NOT NULL DEFAULT 0 CHECK (file_locked IN (0, 1))
) STRICT;

CREATE TABLE cursors (
    name       TEXT NOT NULL PRIMARY KEY,
    value      TEXT NOT NULL
) STRICT;

-- Totals that are kept with each write, so that no run has to count.
CREATE TABLE tallies (
    name TEXT NOT NULL PRIMARY KEY,
    n    INTEGER NOT NULL
) STRICT;

-- Paying parties. The id is that of the first Stripe customer seen.
CREATE TABLE customers (
    id          TEXT NOT NULL PRIMARY KEY CHECK (id <> ''),
    email       TEXT NOT NULL DEFAULT '',
    email_key   TEXT NOT NULL DEFAULT '',
    name        TEXT NOT NULL DEFAULT '',
    org_id      TEXT CHECK (org_id <> ''),
    org_named   INTEGER NOT NULL DEFAULT 0 CHECK (org_named IN (0, 1)),
    invited_at  INTEGER,
    due_at      INTEGER,
    wakes       INTEGER NOT NULL DEFAULT 0,
    planned_at  INTEGER,
    held        TEXT CHECK (json_valid(held)),
    failures    INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0),
    retry_after INTEGER,
    parked_at   INTEGER,
    last_error  TEXT NOT NULL DEFAULT '',
    created_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX customers_due ON customers (due_at, id) WHERE due_at IS NOT NULL;
CREATE UNIQUE INDEX customers_org ON customers (org_id) WHERE org_id IS NOT NULL;
CREATE INDEX customers_held ON customers (id) WHERE held IS NOT NULL;
CREATE INDEX customers_parked ON customers (id) WHERE parked_at IS NOT NULL;

CREATE TABLE stripe_customers (
    id          TEXT NOT NULL PRIMARY KEY CHECK (id <> ''),
    customer_id TEXT NOT NULL REFERENCES customers (id),
    email       TEXT NOT NULL DEFAULT '',
    email_key   TEXT NOT NULL DEFAULT '',
    name        TEXT NOT NULL DEFAULT '',
    deleted     INTEGER NOT NULL DEFAULT 0 CHECK (deleted IN (0, 1))
) STRICT;
CREATE INDEX stripe_customers_party ON stripe_customers (customer_id, id);
CREATE INDEX stripe_customers_email ON stripe_customers (email_key) WHERE email_key <> '';

-- The mirror of Stripe.
CREATE TABLE subscriptions (
    id                   TEXT NOT NULL PRIMARY KEY CHECK (id <> ''),
    stripe_customer_id   TEXT NOT NULL REFERENCES stripe_customers (id),
    status               TEXT NOT NULL CHECK (status IN ('active', 'trialing', 'past_due', 'unpaid',
                                     'paused', 'incomplete', 'incomplete_expired', 'canceled', 'unknown')),
    status_text          TEXT NOT NULL,
    status_since         INTEGER NOT NULL,
    created_at           INTEGER,
    ended_at             INTEGER,
    cancel_at_period_end INTEGER NOT NULL DEFAULT 0 CHECK (cancel_at_period_end IN (0, 1)),
    current_period_end   INTEGER,
    collection_paused    INTEGER NOT NULL DEFAULT 0 CHECK (collection_paused IN (0, 1)),
    unpaid_since         INTEGER,
    items                TEXT NOT NULL CHECK (json_valid(items)),
    domain               TEXT NOT NULL DEFAULT '',
    checkout_domain      TEXT NOT NULL DEFAULT '',
    domain_checked       INTEGER NOT NULL DEFAULT 0 CHECK (domain_checked IN (0, 1)),
    metadata_org         TEXT NOT NULL DEFAULT '',
    metadata_hosting     INTEGER NOT NULL DEFAULT 0,
    read_at              INTEGER,
    by_id                INTEGER NOT NULL DEFAULT 0 CHECK (by_id IN (0, 1)),
    gone                 INTEGER NOT NULL DEFAULT 0 CHECK (gone IN (0, 1)),
    content_hash         INTEGER NOT NULL
) STRICT;
CREATE INDEX subscriptions_buyer ON subscriptions (stripe_customer_id, id);

-- What a sweep found changed, until the sweep is known to be complete.
CREATE TABLE staged_subscriptions (
    id      TEXT NOT NULL PRIMARY KEY,
    read_at INTEGER NOT NULL,
    content BLOB NOT NULL
) STRICT;

-- The index of Enhance's customer orgs.
CREATE TABLE orgs (
    id               TEXT NOT NULL PRIMARY KEY CHECK (id <> ''),
    name             TEXT NOT NULL DEFAULT '',
    owner_email      TEXT NOT NULL DEFAULT '',
    owner_email_key  TEXT NOT NULL DEFAULT '',
    marker_id        TEXT NOT NULL DEFAULT '',
    hostings_count   INTEGER NOT NULL DEFAULT 0,
    hostings_read_at INTEGER,
    deleted          INTEGER NOT NULL DEFAULT 0 CHECK (deleted IN (0, 1)),
    suspended        INTEGER NOT NULL DEFAULT 0 CHECK (suspended IN (0, 1)),
    created_at       INTEGER,
    observed_at      INTEGER
) STRICT;
CREATE INDEX orgs_owner ON orgs (owner_email_key) WHERE owner_email_key <> '';
CREATE INDEX orgs_marker ON orgs (marker_id) WHERE marker_id <> '';
CREATE INDEX orgs_created ON orgs (created_at) WHERE created_at IS NOT NULL;
CREATE INDEX orgs_unread ON orgs (id) WHERE hostings_read_at IS NULL AND NOT deleted;

-- Enhance's subscriptions, bound to us or not. suspended_by_us, terminated_by_us,
-- website and website_taken are ours, not the panel's.
CREATE TABLE hostings (
    id               INTEGER NOT NULL PRIMARY KEY CHECK (id > 0),
    org_id           TEXT NOT NULL,
    plan_id          INTEGER NOT NULL DEFAULT 0,
    state            TEXT NOT NULL CHECK (state IN ('unread', 'active', 'suspended', 'deleted', 'missing', 'unknown')),
    suspended_by     TEXT NOT NULL DEFAULT '',
    friendly_name    TEXT NOT NULL DEFAULT '',
    marker_id        TEXT NOT NULL DEFAULT '',
    marker_slot      INTEGER NOT NULL DEFAULT 0,
    usage            TEXT CHECK (json_valid(usage)),
    observed_at      INTEGER,
    suspended_by_us  INTEGER,
    terminated_by_us INTEGER,
    website          TEXT NOT NULL DEFAULT '',
    website_taken    TEXT NOT NULL DEFAULT '',
    bound            INTEGER NOT NULL DEFAULT 0 CHECK (bound IN (0, 1))
) STRICT;
CREATE INDEX hostings_org ON hostings (org_id);
CREATE INDEX hostings_marker ON hostings (marker_id) WHERE marker_id <> '';
CREATE INDEX hostings_drift ON hostings (observed_at, id) WHERE bound AND terminated_by_us IS NULL;

CREATE TABLE bindings (
    subscription_id TEXT NOT NULL REFERENCES subscriptions (id),
    slot            INTEGER NOT NULL CHECK (slot >= 1),
    item_id         TEXT NOT NULL DEFAULT '',
    org_id          TEXT NOT NULL,
    hosting_id      INTEGER NOT NULL REFERENCES hostings (id),
    how             TEXT NOT NULL CHECK (how IN ('create', 'marker', 'metadata', 'adopt', 'return')),
    bound_at        INTEGER NOT NULL,
    PRIMARY KEY (subscription_id, slot)
) STRICT;
CREATE INDEX bindings_hosting ON bindings (hosting_id);
CREATE INDEX bindings_age ON bindings (bound_at, subscription_id);

CREATE TABLE enhance_plans (
    id     INTEGER NOT NULL PRIMARY KEY,
    name   TEXT NOT NULL,
    limits TEXT NOT NULL CHECK (json_valid(limits))
) STRICT;

-- People insert here by hand, naming only the first three columns.
CREATE TABLE plan_mappings (
    billing_provider TEXT NOT NULL DEFAULT 'stripe' CHECK (billing_provider = 'stripe'),
    billing_plan_id  TEXT NOT NULL CHECK (billing_plan_id <> ''),
    enhance_plan_id  TEXT NOT NULL CHECK (enhance_plan_id <> ''),
    updated_at       INTEGER,
    updated_by       TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (billing_provider, billing_plan_id)
) STRICT;

CREATE TABLE webhook_logs (
    event_id        TEXT NOT NULL PRIMARY KEY CHECK (event_id <> ''),
    event_type      TEXT NOT NULL,
    subscription_id TEXT NOT NULL DEFAULT '',
    received_at     INTEGER NOT NULL,
    state           TEXT NOT NULL DEFAULT 'received' CHECK (state IN ('received', 'followed', 'failed')),
    error           TEXT NOT NULL DEFAULT '',
    finished_at     INTEGER,
    CHECK (state = 'received' OR finished_at IS NOT NULL),
    CHECK (state <> 'failed' OR error <> '')
) STRICT;
CREATE INDEX webhook_logs_recent ON webhook_logs (received_at, event_id);
CREATE INDEX webhook_logs_open ON webhook_logs (subscription_id) WHERE state = 'received';
CREATE INDEX webhook_logs_failed ON webhook_logs (received_at, event_id) WHERE state = 'failed';

CREATE TABLE seen_events (
    id         TEXT NOT NULL PRIMARY KEY,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX seen_events_age ON seen_events (created_at);

-- One row a subscription, however often it was nudged; '' is "whatever is due".
CREATE TABLE nudges (
    subscription_id TEXT NOT NULL PRIMARY KEY,
    why             TEXT NOT NULL DEFAULT '',
    created_at      INTEGER NOT NULL
) STRICT;

CREATE TABLE runs (
    id              TEXT NOT NULL PRIMARY KEY CHECK (id <> ''),
    started_by      TEXT NOT NULL,
    mode            TEXT NOT NULL CHECK (mode IN ('full', 'incremental', 'targeted')),
    started_at      INTEGER NOT NULL,
    finished_at     INTEGER,
    error           TEXT NOT NULL DEFAULT '',
    subscriptions   INTEGER NOT NULL DEFAULT 0,
    events          INTEGER NOT NULL DEFAULT 0,
    stripe_calls    INTEGER NOT NULL DEFAULT 0,
    enhance_calls   INTEGER NOT NULL DEFAULT 0,
    planned         INTEGER NOT NULL DEFAULT 0,
    applied         INTEGER NOT NULL DEFAULT 0,
    failed          INTEGER NOT NULL DEFAULT 0,
    held            INTEGER NOT NULL DEFAULT 0,
    gates           TEXT NOT NULL CHECK (json_valid(gates)),
    listed_count    INTEGER,
    listed_entitled INTEGER,
    listed_at       INTEGER,
    CHECK ((listed_at IS NULL) = (listed_count IS NULL) AND (listed_at IS NULL) = (listed_entitled IS NULL))
) STRICT;
CREATE INDEX runs_recent ON runs (started_at, id);
CREATE INDEX runs_listed ON runs (started_at, id) WHERE listed_at IS NOT NULL;

-- Plans that the brake holds, with exactly what an approval releases.
CREATE TABLE plans (
    id          TEXT NOT NULL PRIMARY KEY CHECK (id <> ''),
    kind        TEXT NOT NULL,
    run_id      TEXT NOT NULL,
    reason      TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    approved_at INTEGER,
    approved_by TEXT NOT NULL DEFAULT '',
    CHECK (approved_at IS NULL OR approved_by <> '')
) STRICT;
CREATE INDEX plans_recent ON plans (created_at, id);

CREATE TABLE plan_actions (
    plan_id   TEXT NOT NULL REFERENCES plans (id),
    position  INTEGER NOT NULL,
    action_id TEXT NOT NULL,
    action    TEXT NOT NULL CHECK (json_valid(action)),
    PRIMARY KEY (plan_id, position)
) STRICT;

-- The journal: intent before the call, outcome after it. The checks are the state
-- machine; the two unique indexes are "one open row a change" and "one write of a
-- customer in flight".
CREATE TABLE actions (
    key             TEXT NOT NULL PRIMARY KEY CHECK (key <> ''),
    action_id       TEXT NOT NULL CHECK (action_id <> ''),
    run_id          TEXT NOT NULL,
    position        INTEGER NOT NULL,
    kind            TEXT NOT NULL CHECK (kind IN ('link', 'resume', 'create_org', 'rename_org', 'invite_owner',
                                'create_subscription', 'create_website', 'change_plan', 'write_metadata', 'suspend', 'terminate')),
    customer_id     TEXT NOT NULL,
    subscription_id TEXT NOT NULL DEFAULT '',
    item_id         TEXT NOT NULL DEFAULT '',
    slot            INTEGER NOT NULL DEFAULT 0,
    email           TEXT NOT NULL DEFAULT '',
    org_id          TEXT NOT NULL DEFAULT '',
    hosting_id      INTEGER NOT NULL DEFAULT 0,
    plan_id         INTEGER NOT NULL DEFAULT 0,
    plan_name       TEXT NOT NULL DEFAULT '',
    from_plan_id    INTEGER NOT NULL DEFAULT 0,
    name            TEXT NOT NULL DEFAULT '',
    domain          TEXT NOT NULL DEFAULT '',
    how             TEXT NOT NULL DEFAULT '' CHECK (how IN ('', 'create', 'marker', 'metadata', 'adopt', 'return')),
    reason          TEXT NOT NULL DEFAULT '',
    state           TEXT NOT NULL CHECK (state IN ('planned', 'held', 'sent', 'ambiguous', 'applied', 'adopted', 'failed', 'superseded')),
    error           TEXT NOT NULL DEFAULT '',
    planned_at      INTEGER NOT NULL,
    sent_at         INTEGER,
    finished_at     INTEGER,
    settle_until    INTEGER,
    looks           INTEGER NOT NULL DEFAULT 0 CHECK (looks >= 0),
    looked_at       INTEGER,
    attempts        INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    held_plan_id    TEXT NOT NULL DEFAULT '',
    CHECK (state NOT IN ('planned', 'held', 'superseded') OR sent_at IS NULL),
    CHECK (state NOT IN ('sent', 'ambiguous', 'applied', 'adopted') OR sent_at IS NOT NULL),
    CHECK ((state IN ('planned', 'held', 'sent', 'ambiguous')) = (finished_at IS NULL)),
    CHECK (state <> 'ambiguous' OR settle_until IS NOT NULL),
    CHECK (state <> 'held' OR held_plan_id <> '')
) STRICT;
CREATE UNIQUE INDEX actions_open ON actions (action_id) WHERE state IN ('planned', 'held', 'sent', 'ambiguous');
CREATE UNIQUE INDEX actions_sent ON actions (customer_id) WHERE state = 'sent';
CREATE INDEX actions_ambiguous ON actions (customer_id) WHERE state = 'ambiguous';
CREATE INDEX actions_open_customer ON actions (customer_id) WHERE state IN ('planned', 'held', 'sent', 'ambiguous');
CREATE INDEX actions_customer ON actions (customer_id, planned_at);
CREATE INDEX actions_subscription ON actions (subscription_id, planned_at) WHERE subscription_id <> '';
CREATE INDEX actions_run ON actions (run_id, position);
CREATE INDEX actions_kind ON actions (kind, finished_at);
CREATE INDEX actions_released ON actions (held_plan_id) WHERE held_plan_id <> '';
CREATE INDEX actions_recent ON actions (planned_at, key);

-- Holds that people set; a removed one stays as history.
CREATE TABLE holds (
    id                 TEXT NOT NULL PRIMARY KEY CHECK (id <> ''),
    stripe_customer_id TEXT NOT NULL DEFAULT '',
    subscription_id    TEXT NOT NULL DEFAULT '',
    kind               TEXT NOT NULL CHECK (kind IN ('no-suspend', 'keep-suspended', 'ignore')),
    until              INTEGER,
    reason             TEXT NOT NULL DEFAULT '',
    author             TEXT NOT NULL DEFAULT '',
    created_at         INTEGER NOT NULL,
    removed_at         INTEGER,
    CHECK ((stripe_customer_id = '') <> (subscription_id = ''))
) STRICT;
CREATE INDEX holds_customer ON holds (stripe_customer_id) WHERE removed_at IS NULL;
CREATE INDEX holds_subscription ON holds (subscription_id) WHERE removed_at IS NULL;
