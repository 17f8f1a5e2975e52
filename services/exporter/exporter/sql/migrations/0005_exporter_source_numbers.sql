-- The number of each tenant's rows in the source, as job-api publishes it: a run with another number is refused.
-- depends: 0004_exporter_claimable_run

-- migrate: apply
CREATE TABLE source_number (
    tenant_id uuid PRIMARY KEY,
    source_tenant integer NOT NULL UNIQUE
);

-- migrate: rollback
DROP TABLE source_number;
