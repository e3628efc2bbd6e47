-- +goose Up
-- The warning that stands for an appliance, as JSON; '' when there is none.
ALTER TABLE appliance_status ADD COLUMN foresight TEXT NOT NULL DEFAULT '';
