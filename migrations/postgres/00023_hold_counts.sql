-- +goose Up

-- How many holds there are, kept with each decision, so that the report of a run need not
-- read every hold.
CREATE TABLE hold_counts (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    n    BIGINT NOT NULL
);

-- The kinds of the holds of a customer, in order and without doubles; null: none is held.
-- The index finds the first holds of each kind.
ALTER TABLE customers ADD COLUMN held_kinds TEXT COLLATE "C" CHECK (held_kinds <> '');
CREATE INDEX customers_held_kinds ON customers (held_kinds, id) WHERE held_kinds IS NOT NULL;

-- The newest token of the lease up to which every process with the lease has kept both.
-- While it is not the token of the lease, they are not used: the database is new, or a
-- process of an earlier version has had the lease, and the next run counts anew.
ALTER TABLE leases ADD COLUMN counted BIGINT NOT NULL DEFAULT 0;
