-- +goose Up

-- What is installed on the website of an order; '': nothing.
ALTER TABLE plan_mappings ADD COLUMN app TEXT NOT NULL DEFAULT '' CHECK (app IN ('', 'wordpress'));

-- The application that was ordered with the website, and how far it has come.
ALTER TABLE hostings ADD COLUMN app TEXT CHECK (json_valid(app));

-- A further kind of action: install_app. A copy of the table would have to repeat all of
-- its columns, see 00035.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, '''write_metadata'', ', '''write_metadata'', ''install_app'', ')
WHERE type = 'table' AND name = 'actions';
PRAGMA writable_schema = RESET;

-- Whether the e-mail or the name has changed at Stripe, and no run has noted it yet.
ALTER TABLE stripe_customers ADD COLUMN email_unnoted INTEGER NOT NULL DEFAULT 0 CHECK (email_unnoted IN (0, 1));
ALTER TABLE stripe_customers ADD COLUMN name_unnoted INTEGER NOT NULL DEFAULT 0 CHECK (name_unnoted IN (0, 1));

-- The address at which a person wants the owner to be invited instead, and who wants it and
-- why; '': as it is.
ALTER TABLE customers ADD COLUMN invite_wanted TEXT NOT NULL DEFAULT '';
ALTER TABLE customers ADD COLUMN invite_why TEXT NOT NULL DEFAULT '';
