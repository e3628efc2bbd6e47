-- +goose Up
-- cleared_at is since when the uploaded values are gone (NULL: they are there); verdicts,
-- findings and counts stay.
ALTER TABLE imports ADD COLUMN cleared_at BIGINT;
