-- +goose Up

-- What the panel had before us, and what another installation makes there.

-- A person said that this order is new: see `customers bind SUBSCRIPTION new`.
ALTER TABLE subscriptions ADD COLUMN said_new BOOLEAN NOT NULL DEFAULT FALSE;

-- The name in lower case and without spaces; what stood here before gets the exact
-- form when the org is listed again.
ALTER TABLE orgs ADD COLUMN name_key TEXT COLLATE "C" NOT NULL DEFAULT '';
UPDATE orgs SET name_key = lower(replace(name, ' ', ''));
CREATE INDEX orgs_name ON orgs (name_key) WHERE name_key <> '';

-- The word behind the @ of a marker: which installation wrote it.
ALTER TABLE orgs ADD COLUMN marker_word TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE hostings ADD COLUMN marker_word TEXT COLLATE "C" NOT NULL DEFAULT '';

CREATE INDEX hostings_unbound ON hostings (org_id)
    WHERE NOT bound AND terminated_by_us IS NULL AND state IN ('active', 'suspended') AND marker_id = '';
CREATE INDEX hostings_second ON hostings (marker_id)
    WHERE NOT bound AND terminated_by_us IS NULL AND state IN ('active', 'suspended') AND marker_id <> '';

-- Where at the panel a domain was when it was last asked for; org_id '' is "nowhere".
CREATE TABLE sites (
    domain     TEXT COLLATE "C" NOT NULL CHECK (domain <> ''),
    org_id     TEXT COLLATE "C" NOT NULL DEFAULT '',
    hosting_id BIGINT NOT NULL DEFAULT 0,
    read_at    TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (domain, org_id, hosting_id)
);
