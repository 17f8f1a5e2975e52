-- Limit login attempts.
-- depends: 0001_job_api_initial

-- migrate: apply
-- Token buckets of login attempts, by a hash of the account or the address, so that no name is stored.
CREATE TABLE throttle (
    key text PRIMARY KEY,
    tokens double precision NOT NULL,
    at timestamptz NOT NULL
);
CREATE INDEX throttle_age ON throttle (at);

-- migrate: rollback
DROP TABLE throttle;
