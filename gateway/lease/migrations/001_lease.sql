-- +goose Up
-- Who does what among several collectors. Times are ms since 1970-01-01 UTC by the
-- database's clock, which all of them share.

-- A collector at work. It is dead when expires_at has passed. incarnation tells two
-- lives of one collector apart.
CREATE TABLE lease_member (
    id          TEXT PRIMARY KEY,
    incarnation TEXT NOT NULL,
    expires_at  BIGINT NOT NULL
);

-- Who holds a site, the rest of the sites ('*') or a task (with a colon in its
-- name). holder '' is nobody; a lease of a dead holder is free. generation grows
-- with every holder, and is never set back: rows are not deleted.
CREATE TABLE lease (
    name       TEXT PRIMARY KEY,
    holder     TEXT NOT NULL,
    generation BIGINT NOT NULL
);
INSERT INTO lease (name, holder, generation) VALUES ('*', '', 0);
