-- +goose Up

-- What the panel had before us, and what another installation makes there.

-- A person said that this order is new: see `customers bind SUBSCRIPTION new`.
ALTER TABLE subscriptions ADD COLUMN said_new INTEGER NOT NULL DEFAULT 0 CHECK (said_new IN (0, 1));

-- The name in lower case and without spaces; what stood here before gets the exact
-- form when the org is listed again.
ALTER TABLE orgs ADD COLUMN name_key TEXT NOT NULL DEFAULT '';
UPDATE orgs SET name_key = lower(replace(name, ' ', ''));
CREATE INDEX orgs_name ON orgs (name_key) WHERE name_key <> '';

-- The word behind the @ of a marker: which installation wrote it.
ALTER TABLE orgs ADD COLUMN marker_word TEXT NOT NULL DEFAULT '';
ALTER TABLE hostings ADD COLUMN marker_word TEXT NOT NULL DEFAULT '';

CREATE INDEX hostings_unbound ON hostings (org_id)
    WHERE NOT bound AND terminated_by_us IS NULL AND state IN ('active', 'suspended') AND marker_id = '';
CREATE INDEX hostings_second ON hostings (marker_id)
    WHERE NOT bound AND terminated_by_us IS NULL AND state IN ('active', 'suspended') AND marker_id <> '';

-- Where at the panel a domain was when it was last asked for; org_id '' is "nowhere".
CREATE TABLE sites (
    domain     TEXT NOT NULL CHECK (domain <> ''),
    org_id     TEXT NOT NULL DEFAULT '',
    hosting_id INTEGER NOT NULL DEFAULT 0,
    read_at    INTEGER NOT NULL,
    PRIMARY KEY (domain, org_id, hosting_id)
) STRICT;
