-- +goose Up
-- only adds

-- For the search of the page: the customers that came since the names were read into memory.
CREATE INDEX customers_created ON customers (created_at, id);
