-- +goose Up

-- Whether the metadata of the subscription named the hosting when it was unbound. What
-- names it although it did not then was written later, and is told.
ALTER TABLE partings ADD COLUMN named BOOLEAN NOT NULL DEFAULT FALSE;
