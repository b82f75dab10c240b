-- +goose Up

-- How a mapping differs from the settings. People insert by hand, naming only the first
-- three columns of the table: every one of these has a default, which is no difference.
ALTER TABLE plan_mappings ADD COLUMN websites TEXT NOT NULL DEFAULT '' CHECK (websites IN ('', 'none', 'order'));
ALTER TABLE plan_mappings ADD COLUMN server_group TEXT NOT NULL DEFAULT '';
ALTER TABLE plan_mappings ADD COLUMN server_group_by_order INTEGER NOT NULL DEFAULT 0 CHECK (server_group_by_order IN (0, 1));
ALTER TABLE plan_mappings ADD COLUMN php_version TEXT NOT NULL DEFAULT '';
ALTER TABLE plan_mappings ADD COLUMN onboarding TEXT NOT NULL DEFAULT '' CHECK (onboarding IN ('', 'invite', 'password', 'none'));
-- NULL: as GRACE_PERIOD.
ALTER TABLE plan_mappings ADD COLUMN grace_seconds INTEGER CHECK (grace_seconds >= 0);

-- What a plan allows for websites; NULL: the panel has not shown it.
ALTER TABLE enhance_plans ADD COLUMN sites TEXT CHECK (json_valid(sites));

-- Where the panel had the domain that was ordered, when it was last asked.
ALTER TABLE hostings ADD COLUMN domain_use TEXT CHECK (json_valid(domain_use));

-- The metadata server_group of the subscription, as typed.
ALTER TABLE subscriptions ADD COLUMN server_group TEXT NOT NULL DEFAULT '';
-- When its trial began; NULL: it has none.
ALTER TABLE subscriptions ADD COLUMN trial_start INTEGER;
-- The due date of the oldest open invoice of a change within the subscription; NULL: none.
ALTER TABLE subscriptions ADD COLUMN unpaid_change INTEGER;
