-- +goose Up

-- The backups of the websites of a hosting that is to be deleted, as last read.
ALTER TABLE hostings ADD COLUMN backups JSONB;

-- A further kind of action: backup.
ALTER TABLE actions DROP CONSTRAINT actions_kind_check;
ALTER TABLE actions ADD CONSTRAINT actions_kind_check CHECK (kind IN ('link', 'resume', 'create_org', 'rename_org', 'invite_owner',
    'create_subscription', 'create_website', 'change_plan', 'mark_hosting', 'write_metadata', 'suspend', 'backup', 'terminate'));
