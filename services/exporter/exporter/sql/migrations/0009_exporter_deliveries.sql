-- Deliveries of files to customers' own storage.
-- depends: 0008_exporter_heartbeat

-- migrate: apply
-- Customers' own storage, as job-api last published it. A deleted one stays until its tombstone, so that no older version
-- comes back. failures counts attempts in a row that the destination itself made fail: it is tried again at not_before, at
-- most retry_delay later, and by one delivery at a time until one succeeds.
CREATE TABLE destination (
    destination_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    version bigint NOT NULL,
    state text NOT NULL CHECK (state IN ('active', 'disabled', 'deleted')),
    name text,
    kind text CHECK (kind IN ('s3', 'gcs', 'azure', 'sftp')),
    address jsonb,
    credentials jsonb,
    failures integer NOT NULL DEFAULT 0,
    not_before timestamptz NOT NULL DEFAULT clock_timestamp(),
    retry_delay interval NOT NULL DEFAULT '0',
    CHECK (state = 'deleted' OR (kind IS NOT NULL AND address IS NOT NULL AND credentials IS NOT NULL))
);

-- The transfer of a succeeded run's files to one destination.
--   pending -> delivering                  claimed
--   delivering -> delivering               taken over after its lease expired
--   delivering -> pending                  handed back, or to be retried at not_before
--   pending | delivering -> cancelled      on request, or because the destination was deleted
--   pending | delivering -> failed         for good, or not possible until give_up_at
--   delivering -> delivered
--   failed | cancelled -> pending          retried on request
-- token, seq, heartbeat and lease_length are as in run. settings is the job's delivery as it was frozen into the run,
-- files the run's files in their order. requested_at is that of the last command carried out. error_code and error_message
-- describe the last failed attempt.
CREATE TABLE delivery (
    delivery_id uuid PRIMARY KEY,
    run_id uuid NOT NULL REFERENCES run,
    job_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    destination_id uuid NOT NULL,
    title text NOT NULL,
    type text NOT NULL,
    slot timestamptz NOT NULL,
    settings jsonb NOT NULL,
    files jsonb NOT NULL,
    manifest text NOT NULL,
    state text NOT NULL CHECK (state IN ('pending', 'delivering', 'delivered', 'failed', 'cancelled')),
    created_at timestamptz NOT NULL,
    not_before timestamptz NOT NULL,
    retry_delay interval NOT NULL DEFAULT '0',
    give_up_at timestamptz NOT NULL,
    attempt integer NOT NULL DEFAULT 0,
    token bigint NOT NULL DEFAULT 0,
    seq bigint NOT NULL DEFAULT 0,
    deliverer text,
    heartbeat bigint NOT NULL DEFAULT 0,
    lease_length interval,
    lease_expired boolean NOT NULL DEFAULT false,
    cancel_reason text CHECK (cancel_reason IN ('requested', 'destination-deleted')),
    cancel_by uuid,
    requested_at timestamptz,
    bytes_sent bigint NOT NULL DEFAULT 0,
    error_code text,
    error_message text,
    ended_at timestamptz,
    CHECK ((state = 'delivering') = (lease_length IS NOT NULL)),
    CHECK ((state IN ('pending', 'delivering')) = (ended_at IS NULL))
);
CREATE INDEX delivery_open ON delivery (created_at) WHERE state IN ('pending', 'delivering');
CREATE INDEX delivery_open_of_destination ON delivery (destination_id) WHERE state IN ('pending', 'delivering');

-- Objects that are complete at the destination: size and SHA-256 were verified there. tag is the provider's own, by which a
-- later attempt sees that the object is still the same.
CREATE TABLE delivered_object (
    delivery_id uuid NOT NULL REFERENCES delivery,
    name text NOT NULL,
    size bigint NOT NULL,
    sha256 text NOT NULL,
    tag text,
    verified_at timestamptz NOT NULL,
    PRIMARY KEY (delivery_id, name)
);

-- Requested tests of destinations: a test that a deliverer began and did not end is begun again after a while. What has
-- ended stays for as long as its command can be read again.
CREATE TABLE destination_test (
    test_id uuid PRIMARY KEY,
    destination_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    version bigint NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    not_before timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz
);
CREATE INDEX destination_test_open ON destination_test (not_before) WHERE ended_at IS NULL;

-- Wakes deliverers, as run_notify wakes exporters.
CREATE FUNCTION delivery_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify(current_schema() || '_delivery', TG_ARGV[0]);
    RETURN NULL;
END $$;
CREATE TRIGGER delivery_created AFTER INSERT ON delivery FOR EACH ROW EXECUTE FUNCTION delivery_notify('work');
CREATE TRIGGER delivery_moved AFTER UPDATE OF state ON delivery FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION delivery_notify('work');
CREATE TRIGGER delivery_cancel AFTER UPDATE OF cancel_reason ON delivery FOR EACH ROW
    WHEN (OLD.cancel_reason IS DISTINCT FROM NEW.cancel_reason) EXECUTE FUNCTION delivery_notify('cancel');
CREATE TRIGGER delivery_lease_expired AFTER UPDATE OF lease_expired ON delivery FOR EACH ROW
    WHEN (NEW.lease_expired AND NOT OLD.lease_expired) EXECUTE FUNCTION delivery_notify('work');
CREATE TRIGGER destination_changed AFTER UPDATE ON destination FOR EACH ROW
    WHEN (OLD.version IS DISTINCT FROM NEW.version OR (NEW.failures = 0 AND OLD.failures > 0))
    EXECUTE FUNCTION delivery_notify('work');
CREATE TRIGGER destination_test_requested AFTER INSERT ON destination_test FOR EACH ROW
    EXECUTE FUNCTION delivery_notify('work');
ALTER TABLE delivery ADD CONSTRAINT delivery_instants CHECK (
        slot BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
    ) NOT VALID;

-- migrate: rollback
DROP TABLE destination_test;
DROP TABLE delivered_object;
DROP TABLE delivery;
DROP TABLE destination;
DROP FUNCTION delivery_notify;
