-- +goose Up

-- How many subscriptions were to have hosting at the end of a run, and had none before a
-- person acted.
ALTER TABLE runs ADD COLUMN orders_held INTEGER NOT NULL DEFAULT 0;
