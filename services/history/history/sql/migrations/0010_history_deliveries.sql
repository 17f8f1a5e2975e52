-- The log of deliveries (rule D11): the transfer of runs' files to destinations, from sluice.deliveries.
-- depends: 0009_history_removal_faults

-- migrate: apply
CREATE TABLE delivery (
    delivery_id uuid PRIMARY KEY,
    run_id uuid NOT NULL,
    job_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    destination_id uuid NOT NULL,
    destination_name text NOT NULL,
    destination_kind text CHECK (destination_kind IN ('s3', 'gcs', 'azure', 'sftp')),
    title text NOT NULL,
    slot timestamptz,
    state text NOT NULL CHECK (state IN ('pending', 'delivering', 'delivered', 'failed', 'cancelled')),
    token bigint NOT NULL,
    seq bigint NOT NULL,
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    ended_at timestamptz,
    attempt integer NOT NULL,
    deliverer text,
    retry_at timestamptz,
    give_up_at timestamptz,
    code text,
    message text,
    files integer,
    bytes bigint,
    bytes_sent bigint,
    manifest text
);
CREATE INDEX delivery_run ON delivery (run_id);
CREATE INDEX delivery_by_created ON delivery (tenant_id, created_at, delivery_id);
CREATE INDEX delivery_by_title ON delivery (tenant_id, title, delivery_id);
CREATE INDEX delivery_by_destination ON delivery (tenant_id, destination_name, delivery_id);
CREATE INDEX delivery_by_state ON delivery (tenant_id, state, delivery_id);
CREATE TABLE delivery_event (
    delivery_id uuid NOT NULL,
    token bigint NOT NULL,
    seq bigint NOT NULL,
    kind text NOT NULL,
    at timestamptz NOT NULL,
    details jsonb NOT NULL,
    PRIMARY KEY (delivery_id, token, seq)
);
CREATE TABLE delivered_file (
    delivery_id uuid NOT NULL,
    name text NOT NULL,
    token bigint NOT NULL,
    seq bigint NOT NULL,
    at timestamptz NOT NULL,
    object text NOT NULL,
    bytes bigint NOT NULL,
    sha256 text NOT NULL,
    sent boolean NOT NULL,
    PRIMARY KEY (delivery_id, name)
);
ALTER TABLE artifact ADD COLUMN delivered_until timestamptz;
CREATE INDEX artifact_delivered ON artifact (delivered_until) WHERE state = 'available' AND delivered_until IS NOT NULL;

-- migrate: rollback
DROP INDEX artifact_delivered;
ALTER TABLE artifact DROP COLUMN delivered_until;
DROP TABLE delivered_file, delivery_event, delivery;
