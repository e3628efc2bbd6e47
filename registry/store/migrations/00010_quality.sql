-- +goose Up

-- The data-quality report: counts that a walk over the whole registry has made, replaced
-- as a whole by the next. period is a month, or the year of what is older.
CREATE TABLE quality_counts (
    site    TEXT NOT NULL,
    period  TEXT NOT NULL,
    measure TEXT NOT NULL,
    n       BIGINT NOT NULL,
    PRIMARY KEY (site, period, measure)
);

-- One row: the walk that the counts are of.
CREATE TABLE quality_walk (
    one      BIGINT PRIMARY KEY,
    began_at BIGINT NOT NULL,
    ended_at BIGINT NOT NULL,
    patients BIGINT NOT NULL,
    doses    BIGINT NOT NULL
);
