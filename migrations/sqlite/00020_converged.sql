-- +goose Up

-- Whether a run left nothing to do, to approve or to doubt; null: it has not ended, or was
-- done by a version that did not keep it.
ALTER TABLE runs ADD COLUMN converged INTEGER CHECK (converged IN (0, 1));
