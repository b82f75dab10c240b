-- +goose Up

-- The journal has mails to customers as well. SQLite has no statement that changes a CHECK;
-- its documentation (lang_altertable.html, section 7) has this way for a change that no row
-- is affected by. A copy of the table would have to repeat all of its columns.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, ', ''terminate'')', ', ''terminate'', ''mail'')')
WHERE type = 'table' AND name = 'actions';
PRAGMA writable_schema = RESET;

-- The matters of which customers had a mail, or may have had one. The key is the matter in
-- its spell, and no two mails are about one: intended is written before a mail is sent, and
-- stays after a crash.
CREATE TABLE mails (
    key         TEXT NOT NULL PRIMARY KEY CHECK (key <> ''),
    action_id   TEXT NOT NULL CHECK (action_id <> ''),
    customer_id TEXT NOT NULL CHECK (customer_id <> ''),
    state       TEXT NOT NULL CHECK (state IN ('intended', 'sent', 'unknown', 'refused', 'unsent')),
    at          INTEGER NOT NULL
) STRICT;
CREATE INDEX mails_customer ON mails (customer_id);
CREATE INDEX mails_intended ON mails (action_id) WHERE state = 'intended';
