-- +goose Up
-- What was entered since a merge and went with the folded record when the merge was undone.
-- kind is dose, fact, reaction or exemption, and entry the id of its row.
CREATE TABLE merge_moves (
    merge_id    TEXT NOT NULL REFERENCES patient_merges (id),
    kind        TEXT NOT NULL,
    entry       TEXT NOT NULL,
    from_record TEXT NOT NULL REFERENCES patients (id),
    to_record   TEXT NOT NULL REFERENCES patients (id),
    PRIMARY KEY (merge_id, kind, entry)
);
