-- +goose Up

-- The journal has mails to customers as well.
ALTER TABLE actions DROP CONSTRAINT actions_kind_check;
ALTER TABLE actions ADD CONSTRAINT actions_kind_check CHECK (kind IN ('link', 'resume', 'create_org', 'rename_org', 'invite_owner',
    'create_subscription', 'create_website', 'change_plan', 'mark_hosting', 'write_metadata', 'suspend', 'backup', 'terminate', 'mail'));

-- The matters of which customers had a mail, or may have had one. The key is the matter in
-- its spell, and no two mails are about one: intended is written before a mail is sent, and
-- stays after a crash.
CREATE TABLE mails (
    key         TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (key <> ''),
    action_id   TEXT COLLATE "C" NOT NULL CHECK (action_id <> ''),
    customer_id TEXT COLLATE "C" NOT NULL CHECK (customer_id <> ''),
    state       TEXT NOT NULL CHECK (state IN ('intended', 'sent', 'unknown', 'refused', 'unsent')),
    at          TIMESTAMPTZ NOT NULL
);
CREATE INDEX mails_customer ON mails (customer_id);
CREATE INDEX mails_intended ON mails (action_id) WHERE state = 'intended';
