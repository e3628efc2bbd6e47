-- +goose Up

-- The trail is chained: an entry's hash covers the hash before it in its lane. Lane -1 is
-- what was entered before that; the first entry of lane 0 says how much it was and covers
-- it from then on.
ALTER TABLE audit ADD COLUMN patient TEXT NOT NULL DEFAULT '';
ALTER TABLE audit ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE audit ADD COLUMN agent TEXT NOT NULL DEFAULT '';
ALTER TABLE audit ADD COLUMN session TEXT NOT NULL DEFAULT '';
ALTER TABLE audit ADD COLUMN lane BIGINT NOT NULL DEFAULT -1;
ALTER TABLE audit ADD COLUMN seq BIGINT NOT NULL DEFAULT 0;
ALTER TABLE audit ADD COLUMN hash TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX audit_chain ON audit (lane, seq) WHERE lane >= 0;
CREATE INDEX audit_patient ON audit (patient, at, id);
CREATE INDEX audit_who ON audit (who_id, at, id);
CREATE INDEX audit_what ON audit (what, at, id);
CREATE INDEX audit_site ON audit (site, patient, at, id);

-- The ends of the lanes. Who appends to one writes its row first, so that others wait for
-- the commit; there are several so that few wait.
CREATE TABLE audit_heads (
    lane BIGINT PRIMARY KEY,
    turn BIGINT NOT NULL,
    seq  BIGINT NOT NULL,
    hash TEXT NOT NULL
);
INSERT INTO audit_heads (lane, turn, seq, hash) VALUES (0, 0, 0, ''), (1, 0, 0, ''), (2, 0, 0, ''), (3, 0, 0, ''), (4, 0, 0, ''), (5, 0, 0, ''), (6, 0, 0, ''), (7, 0, 0, '');
