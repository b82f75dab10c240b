-- +goose Up

-- What an action rests on that takes something away, as it was read right before.
ALTER TABLE actions ADD COLUMN evidence TEXT CHECK (json_valid(evidence));
