-- +goose Up

-- What else goes on in the unit of an alert.
CREATE INDEX alert_by_appliance ON alert (appliance, raised_at);
