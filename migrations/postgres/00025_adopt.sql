-- +goose Up

-- The journal knows one more kind: mark_hosting, the marker in the name of a hosting that
-- a person has bound.
ALTER TABLE actions DROP CONSTRAINT actions_kind_check;
ALTER TABLE actions ADD CONSTRAINT actions_kind_check CHECK (kind IN ('link', 'resume', 'create_org', 'rename_org', 'invite_owner',
    'create_subscription', 'create_website', 'change_plan', 'mark_hosting', 'write_metadata', 'suspend', 'terminate'));

-- A person has decided that no subscription pays for this hosting; see `adopt --csv`. It is
-- unbound, and in nobody's way.
ALTER TABLE hostings ADD COLUMN ignored BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE hostings ADD COLUMN ignored_why TEXT NOT NULL DEFAULT '';
DROP INDEX hostings_unbound;
CREATE INDEX hostings_unbound ON hostings (org_id)
    WHERE NOT bound AND NOT ignored AND terminated_by_us IS NULL AND state IN ('active', 'suspended') AND marker_id = '';
