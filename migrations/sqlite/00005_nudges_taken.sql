-- +goose Up

-- The token of the lease whose run is following the nudge; 0: none is. A nudge is
-- removed when it has been followed, so one whose run died is still there.
ALTER TABLE nudges ADD COLUMN taken INTEGER NOT NULL DEFAULT 0;
