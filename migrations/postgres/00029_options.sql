-- +goose Up

-- How a mapping differs from the settings. People insert by hand, naming only the first
-- three columns of the table: every one of these has a default, which is no difference.
ALTER TABLE plan_mappings ADD COLUMN websites TEXT NOT NULL DEFAULT '' CHECK (websites IN ('', 'none', 'order'));
ALTER TABLE plan_mappings ADD COLUMN server_group TEXT NOT NULL DEFAULT '';
ALTER TABLE plan_mappings ADD COLUMN server_group_by_order BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE plan_mappings ADD COLUMN php_version TEXT NOT NULL DEFAULT '';
ALTER TABLE plan_mappings ADD COLUMN onboarding TEXT NOT NULL DEFAULT '' CHECK (onboarding IN ('', 'invite', 'password', 'none'));
-- NULL: as GRACE_PERIOD.
ALTER TABLE plan_mappings ADD COLUMN grace_seconds BIGINT CHECK (grace_seconds >= 0);

-- What a plan allows for websites; NULL: the panel has not shown it.
ALTER TABLE enhance_plans ADD COLUMN sites JSONB;

-- Where the panel had the domain that was ordered, when it was last asked.
ALTER TABLE hostings ADD COLUMN domain_use JSONB;

-- The metadata server_group of the subscription, as typed.
ALTER TABLE subscriptions ADD COLUMN server_group TEXT NOT NULL DEFAULT '';
-- When its trial began; NULL: it has none.
ALTER TABLE subscriptions ADD COLUMN trial_start TIMESTAMPTZ;
-- The due date of the oldest open invoice of a change within the subscription; NULL: none.
ALTER TABLE subscriptions ADD COLUMN unpaid_change TIMESTAMPTZ;
