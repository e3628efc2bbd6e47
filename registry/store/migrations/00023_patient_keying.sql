-- +goose Up

-- How far the records have the keys of each form (store.keysForm): all of them when done is
-- 1, those up to the id upto otherwise. Form 1 has no row.
CREATE TABLE patient_keying (
    form BIGINT PRIMARY KEY,
    upto TEXT NOT NULL,
    done BIGINT NOT NULL
);
