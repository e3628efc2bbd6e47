-- +goose Up
-- Forms that have recorded a dose, so that one that is sent twice records it once. form is
-- who sent it and the form's key, sent the hash of what was in it.
CREATE TABLE dose_forms (
    form TEXT PRIMARY KEY,
    dose TEXT NOT NULL REFERENCES doses (id),
    sent TEXT NOT NULL,
    at   BIGINT NOT NULL
);
CREATE INDEX dose_forms_at ON dose_forms (at);
