-- +goose Up

-- What is installed on the website of an order; '': nothing.
ALTER TABLE plan_mappings ADD COLUMN app TEXT NOT NULL DEFAULT '' CHECK (app IN ('', 'wordpress'));

-- The application that was ordered with the website, and how far it has come.
ALTER TABLE hostings ADD COLUMN app JSONB;

-- A further kind of action: install_app.
ALTER TABLE actions DROP CONSTRAINT actions_kind_check;
ALTER TABLE actions ADD CONSTRAINT actions_kind_check CHECK (kind IN ('link', 'resume', 'create_org', 'rename_org', 'invite_owner',
    'create_subscription', 'create_website', 'change_plan', 'mark_hosting', 'write_metadata', 'install_app', 'suspend', 'backup', 'terminate', 'mail'));

-- Whether the e-mail or the name has changed at Stripe, and no run has noted it yet.
ALTER TABLE stripe_customers ADD COLUMN email_unnoted BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE stripe_customers ADD COLUMN name_unnoted BOOLEAN NOT NULL DEFAULT FALSE;

-- The address at which a person wants the owner to be invited instead, and who wants it and
-- why; '': as it is.
ALTER TABLE customers ADD COLUMN invite_wanted TEXT NOT NULL DEFAULT '';
ALTER TABLE customers ADD COLUMN invite_why TEXT NOT NULL DEFAULT '';
