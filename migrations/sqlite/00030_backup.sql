-- +goose Up

-- The backups of the websites of a hosting that is to be deleted, as last read.
ALTER TABLE hostings ADD COLUMN backups TEXT CHECK (json_valid(backups));

-- A further kind of action: backup. SQLite changes a CHECK only with its table.
CREATE TABLE actions_backup (
    key             TEXT NOT NULL PRIMARY KEY CHECK (key <> ''),
    action_id       TEXT NOT NULL CHECK (action_id <> ''),
    run_id          TEXT NOT NULL,
    position        INTEGER NOT NULL,
    kind            TEXT NOT NULL CHECK (kind IN ('link', 'resume', 'create_org', 'rename_org', 'invite_owner',
                                'create_subscription', 'create_website', 'change_plan', 'mark_hosting', 'write_metadata', 'suspend', 'backup', 'terminate')),
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
INSERT INTO actions_backup SELECT * FROM actions;
DROP TABLE actions;
ALTER TABLE actions_backup RENAME TO actions;
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
