-- +goose Up
CREATE INDEX evidence_fault_by_time ON evidence_fault (raised_at);
