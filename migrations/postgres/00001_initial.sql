-- +goose Up

-- Ids are compared byte by byte on both databases, hence COLLATE "C": pages by id
-- are then the same everywhere and never depend on the server's locale.

CREATE TABLE leases (
    name        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    owner       TEXT        NOT NULL,
    token       BIGINT      NOT NULL CHECK (token > 0),
    expires_at  TIMESTAMPTZ NOT NULL,
    file_locked BOOLEAN     NOT NULL DEFAULT FALSE
);

CREATE TABLE cursors (
    name       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value      TEXT        NOT NULL
);

-- Totals that are kept with each write, so that no run has to count.
CREATE TABLE tallies (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    n    BIGINT NOT NULL
);

-- Paying parties. The id is that of the first Stripe customer seen.
CREATE TABLE customers (
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (id <> ''),
    email       TEXT        NOT NULL DEFAULT '',
    email_key   TEXT COLLATE "C" NOT NULL DEFAULT '',
    name        TEXT        NOT NULL DEFAULT '',
    org_id      TEXT COLLATE "C" CHECK (org_id <> ''),
    org_named   BOOLEAN     NOT NULL DEFAULT FALSE,
    invited_at  TIMESTAMPTZ,
    due_at      TIMESTAMPTZ,
    wakes       BIGINT      NOT NULL DEFAULT 0,
    planned_at  TIMESTAMPTZ,
    held        JSONB,
    failures    INTEGER     NOT NULL DEFAULT 0 CHECK (failures >= 0),
    retry_after TIMESTAMPTZ,
    parked_at   TIMESTAMPTZ,
    last_error  TEXT        NOT NULL DEFAULT '',
    created_at  TIMESTAMPTZ NOT NULL
);
CREATE INDEX customers_due ON customers (due_at, id) WHERE due_at IS NOT NULL;
CREATE UNIQUE INDEX customers_org ON customers (org_id) WHERE org_id IS NOT NULL;
CREATE INDEX customers_held ON customers (id) WHERE held IS NOT NULL;
CREATE INDEX customers_parked ON customers (id) WHERE parked_at IS NOT NULL;

CREATE TABLE stripe_customers (
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (id <> ''),
    customer_id TEXT COLLATE "C" NOT NULL REFERENCES customers (id),
    email       TEXT    NOT NULL DEFAULT '',
    email_key   TEXT COLLATE "C" NOT NULL DEFAULT '',
    name        TEXT    NOT NULL DEFAULT '',
    deleted     BOOLEAN NOT NULL DEFAULT FALSE
);
CREATE INDEX stripe_customers_party ON stripe_customers (customer_id, id);
CREATE INDEX stripe_customers_email ON stripe_customers (email_key) WHERE email_key <> '';

-- The mirror of Stripe.
CREATE TABLE subscriptions (
    id                   TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (id <> ''),
    stripe_customer_id   TEXT COLLATE "C" NOT NULL REFERENCES stripe_customers (id),
    status               TEXT        NOT NULL CHECK (status IN ('active', 'trialing', 'past_due', 'unpaid',
                                     'paused', 'incomplete', 'incomplete_expired', 'canceled', 'unknown')),
    status_text          TEXT        NOT NULL,
    status_since         TIMESTAMPTZ NOT NULL,
    created_at           TIMESTAMPTZ,
    ended_at             TIMESTAMPTZ,
    cancel_at_period_end BOOLEAN     NOT NULL DEFAULT FALSE,
    current_period_end   TIMESTAMPTZ,
    collection_paused    BOOLEAN     NOT NULL DEFAULT FALSE,
    unpaid_since         TIMESTAMPTZ,
    items                JSONB       NOT NULL,
    domain               TEXT        NOT NULL DEFAULT '',
    checkout_domain      TEXT        NOT NULL DEFAULT '',
    domain_checked       BOOLEAN     NOT NULL DEFAULT FALSE,
    metadata_org         TEXT        NOT NULL DEFAULT '',
    metadata_hosting     BIGINT      NOT NULL DEFAULT 0,
    read_at              TIMESTAMPTZ,
    by_id                BOOLEAN     NOT NULL DEFAULT FALSE,
    gone                 BOOLEAN     NOT NULL DEFAULT FALSE,
    content_hash         BIGINT      NOT NULL
);
CREATE INDEX subscriptions_buyer ON subscriptions (stripe_customer_id, id);

-- What a sweep found changed, until the sweep is known to be complete.
CREATE TABLE staged_subscriptions (
    id      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    read_at TIMESTAMPTZ NOT NULL,
    content BYTEA NOT NULL
);

-- The index of Enhance's customer orgs.
CREATE TABLE orgs (
    id               TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (id <> ''),
    name             TEXT        NOT NULL DEFAULT '',
    owner_email      TEXT        NOT NULL DEFAULT '',
    owner_email_key  TEXT COLLATE "C" NOT NULL DEFAULT '',
    marker_id        TEXT COLLATE "C" NOT NULL DEFAULT '',
    hostings_count   INTEGER     NOT NULL DEFAULT 0,
    hostings_read_at TIMESTAMPTZ,
    deleted          BOOLEAN     NOT NULL DEFAULT FALSE,
    suspended        BOOLEAN     NOT NULL DEFAULT FALSE,
    created_at       TIMESTAMPTZ,
    observed_at      TIMESTAMPTZ
);
CREATE INDEX orgs_owner ON orgs (owner_email_key) WHERE owner_email_key <> '';
CREATE INDEX orgs_marker ON orgs (marker_id) WHERE marker_id <> '';
CREATE INDEX orgs_created ON orgs (created_at) WHERE created_at IS NOT NULL;
CREATE INDEX orgs_unread ON orgs (id) WHERE hostings_read_at IS NULL AND NOT deleted;

-- Enhance's subscriptions, bound to us or not. suspended_by_us, terminated_by_us,
-- website and website_taken are ours, not the panel's.
CREATE TABLE hostings (
    id               BIGINT      NOT NULL PRIMARY KEY CHECK (id > 0),
    org_id           TEXT COLLATE "C" NOT NULL,
    plan_id          INTEGER     NOT NULL DEFAULT 0,
    state            TEXT        NOT NULL CHECK (state IN ('unread', 'active', 'suspended', 'deleted', 'missing', 'unknown')),
    suspended_by     TEXT        NOT NULL DEFAULT '',
    friendly_name    TEXT        NOT NULL DEFAULT '',
    marker_id        TEXT COLLATE "C" NOT NULL DEFAULT '',
    marker_slot      INTEGER     NOT NULL DEFAULT 0,
    usage            JSONB,
    observed_at      TIMESTAMPTZ,
    suspended_by_us  TIMESTAMPTZ,
    terminated_by_us TIMESTAMPTZ,
    website          TEXT        NOT NULL DEFAULT '',
    website_taken    TEXT        NOT NULL DEFAULT '',
    bound            BOOLEAN     NOT NULL DEFAULT FALSE
);
CREATE INDEX hostings_org ON hostings (org_id);
CREATE INDEX hostings_marker ON hostings (marker_id) WHERE marker_id <> '';
CREATE INDEX hostings_drift ON hostings (observed_at, id) WHERE bound AND terminated_by_us IS NULL;

CREATE TABLE bindings (
    subscription_id TEXT COLLATE "C" NOT NULL REFERENCES subscriptions (id),
    slot            INTEGER     NOT NULL CHECK (slot >= 1),
    item_id         TEXT        NOT NULL DEFAULT '',
    org_id          TEXT COLLATE "C" NOT NULL,
    hosting_id      BIGINT      NOT NULL REFERENCES hostings (id),
    how             TEXT        NOT NULL CHECK (how IN ('create', 'marker', 'metadata', 'adopt', 'return')),
    bound_at        TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (subscription_id, slot)
);
CREATE INDEX bindings_hosting ON bindings (hosting_id);
CREATE INDEX bindings_age ON bindings (bound_at, subscription_id);

CREATE TABLE enhance_plans (
    id     INTEGER NOT NULL PRIMARY KEY,
    name   TEXT    NOT NULL,
    limits JSONB   NOT NULL
);

-- People insert here by hand, naming only the first three columns.
CREATE TABLE plan_mappings (
    billing_provider TEXT COLLATE "C" NOT NULL DEFAULT 'stripe' CHECK (billing_provider = 'stripe'),
    billing_plan_id  TEXT COLLATE "C" NOT NULL CHECK (billing_plan_id <> ''),
    enhance_plan_id  TEXT        NOT NULL CHECK (enhance_plan_id <> ''),
    updated_at       TIMESTAMPTZ,
    updated_by       TEXT        NOT NULL DEFAULT '',
    PRIMARY KEY (billing_provider, billing_plan_id)
);

CREATE TABLE webhook_logs (
    event_id        TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (event_id <> ''),
    event_type      TEXT        NOT NULL,
    subscription_id TEXT        NOT NULL DEFAULT '',
    received_at     TIMESTAMPTZ NOT NULL,
    state           TEXT        NOT NULL DEFAULT 'received' CHECK (state IN ('received', 'followed', 'failed')),
    error           TEXT        NOT NULL DEFAULT '',
    finished_at     TIMESTAMPTZ,
    CHECK (state = 'received' OR finished_at IS NOT NULL),
    CHECK (state <> 'failed' OR error <> '')
);
CREATE INDEX webhook_logs_recent ON webhook_logs (received_at, event_id);
CREATE INDEX webhook_logs_open ON webhook_logs (subscription_id) WHERE state = 'received';
CREATE INDEX webhook_logs_failed ON webhook_logs (received_at, event_id) WHERE state = 'failed';

CREATE TABLE seen_events (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    created_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX seen_events_age ON seen_events (created_at);

-- One row a subscription, however often it was nudged; '' is "whatever is due".
CREATE TABLE nudges (
    subscription_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    why             TEXT        NOT NULL DEFAULT '',
    created_at      TIMESTAMPTZ NOT NULL
);

CREATE TABLE runs (
    id              TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (id <> ''),
    started_by      TEXT        NOT NULL,
    mode            TEXT        NOT NULL CHECK (mode IN ('full', 'incremental', 'targeted')),
    started_at      TIMESTAMPTZ NOT NULL,
    finished_at     TIMESTAMPTZ,
    error           TEXT        NOT NULL DEFAULT '',
    subscriptions   INTEGER     NOT NULL DEFAULT 0,
    events          INTEGER     NOT NULL DEFAULT 0,
    stripe_calls    INTEGER     NOT NULL DEFAULT 0,
    enhance_calls   INTEGER     NOT NULL DEFAULT 0,
    planned         INTEGER     NOT NULL DEFAULT 0,
    applied         INTEGER     NOT NULL DEFAULT 0,
    failed          INTEGER     NOT NULL DEFAULT 0,
    held            INTEGER     NOT NULL DEFAULT 0,
    gates           JSONB       NOT NULL,
    listed_count    INTEGER,
    listed_entitled INTEGER,
    listed_at       TIMESTAMPTZ,
    CHECK ((listed_at IS NULL) = (listed_count IS NULL) AND (listed_at IS NULL) = (listed_entitled IS NULL))
);
CREATE INDEX runs_recent ON runs (started_at, id);
CREATE INDEX runs_listed ON runs (started_at, id) WHERE listed_at IS NOT NULL;

-- Plans that the brake holds, with exactly what an approval releases.
CREATE TABLE plans (
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (id <> ''),
    kind        TEXT        NOT NULL,
    run_id      TEXT        NOT NULL,
    reason      TEXT        NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL,
    expires_at  TIMESTAMPTZ NOT NULL,
    approved_at TIMESTAMPTZ,
    approved_by TEXT        NOT NULL DEFAULT '',
    CHECK (approved_at IS NULL OR approved_by <> '')
);
CREATE INDEX plans_recent ON plans (created_at, id);

CREATE TABLE plan_actions (
    plan_id   TEXT COLLATE "C" NOT NULL REFERENCES plans (id),
    position  INTEGER NOT NULL,
    action_id TEXT COLLATE "C" NOT NULL,
    action    JSONB   NOT NULL,
    PRIMARY KEY (plan_id, position)
);

-- The journal: intent before the call, outcome after it. The checks are the state
-- machine; the two unique indexes are "one open row a change" and "one write of a
-- customer in flight".
CREATE TABLE actions (
    key             TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (key <> ''),
    action_id       TEXT COLLATE "C" NOT NULL CHECK (action_id <> ''),
    run_id          TEXT COLLATE "C" NOT NULL,
    position        BIGINT      NOT NULL,
    kind            TEXT        NOT NULL CHECK (kind IN ('link', 'resume', 'create_org', 'rename_org', 'invite_owner',
                                'create_subscription', 'create_website', 'change_plan', 'write_metadata', 'suspend', 'terminate')),
    customer_id     TEXT COLLATE "C" NOT NULL,
    subscription_id TEXT COLLATE "C" NOT NULL DEFAULT '',
    item_id         TEXT        NOT NULL DEFAULT '',
    slot            INTEGER     NOT NULL DEFAULT 0,
    email           TEXT        NOT NULL DEFAULT '',
    org_id          TEXT        NOT NULL DEFAULT '',
    hosting_id      BIGINT      NOT NULL DEFAULT 0,
    plan_id         INTEGER     NOT NULL DEFAULT 0,
    plan_name       TEXT        NOT NULL DEFAULT '',
    from_plan_id    INTEGER     NOT NULL DEFAULT 0,
    name            TEXT        NOT NULL DEFAULT '',
    domain          TEXT        NOT NULL DEFAULT '',
    how             TEXT        NOT NULL DEFAULT '' CHECK (how IN ('', 'create', 'marker', 'metadata', 'adopt', 'return')),
    reason          TEXT        NOT NULL DEFAULT '',
    state           TEXT        NOT NULL CHECK (state IN ('planned', 'held', 'sent', 'ambiguous', 'applied', 'adopted', 'failed', 'superseded')),
    error           TEXT        NOT NULL DEFAULT '',
    planned_at      TIMESTAMPTZ NOT NULL,
    sent_at         TIMESTAMPTZ,
    finished_at     TIMESTAMPTZ,
    settle_until    TIMESTAMPTZ,
    looks           INTEGER     NOT NULL DEFAULT 0 CHECK (looks >= 0),
    looked_at       TIMESTAMPTZ,
    attempts        INTEGER     NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    held_plan_id    TEXT COLLATE "C" NOT NULL DEFAULT '',
    CHECK (state NOT IN ('planned', 'held', 'superseded') OR sent_at IS NULL),
    CHECK (state NOT IN ('sent', 'ambiguous', 'applied', 'adopted') OR sent_at IS NOT NULL),
    CHECK ((state IN ('planned', 'held', 'sent', 'ambiguous')) = (finished_at IS NULL)),
    CHECK (state <> 'ambiguous' OR settle_until IS NOT NULL),
    CHECK (state <> 'held' OR held_plan_id <> '')
);
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
    id                 TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (id <> ''),
    stripe_customer_id TEXT COLLATE "C" NOT NULL DEFAULT '',
    subscription_id    TEXT COLLATE "C" NOT NULL DEFAULT '',
    kind               TEXT        NOT NULL CHECK (kind IN ('no-suspend', 'keep-suspended', 'ignore')),
    until              TIMESTAMPTZ,
    reason             TEXT        NOT NULL DEFAULT '',
    author             TEXT        NOT NULL DEFAULT '',
    created_at         TIMESTAMPTZ NOT NULL,
    removed_at         TIMESTAMPTZ,
    CHECK ((stripe_customer_id = '') <> (subscription_id = ''))
);
CREATE INDEX holds_customer ON holds (stripe_customer_id) WHERE removed_at IS NULL;
CREATE INDEX holds_subscription ON holds (subscription_id) WHERE removed_at IS NULL;
