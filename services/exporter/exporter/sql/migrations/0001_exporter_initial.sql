-- Runs, parts, certificates and the outbox.
-- depends: 

-- migrate: apply
-- What exporters need to know about a job: whether it was deleted, and up to which instant the data of its last
-- successful run is complete. Its row is the lock under which overlapping triggers are admitted.
CREATE TABLE job (
    job_id uuid PRIMARY KEY,
    deleted boolean NOT NULL DEFAULT false,
    complete_through timestamptz
);

-- Recipients' certificates, as job-api last published them.
CREATE TABLE certificate (
    certificate_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    version bigint NOT NULL,
    active boolean NOT NULL,
    pem text NOT NULL
);
CREATE INDEX certificate_tenant ON certificate (tenant_id) WHERE active;

-- The states of a run:
--   queued -> running                     claimed
--   running -> running                    taken over after its lease expired
--   running -> queued                     handed back, or to be retried at not_before
--   queued | running -> cancelled         on request, or because the job was deleted
--   running -> succeeded | failed
--   (admitted as) skipped | cancelled     overlap; the job was deleted before
-- token, the fencing token, rises at each claim and is checked by every write under a claim; seq numbers the events of
-- a token.
CREATE TABLE run (
    run_id uuid PRIMARY KEY,
    job_id uuid NOT NULL REFERENCES job,
    tenant_id uuid NOT NULL,
    slot timestamptz NOT NULL,
    settings jsonb NOT NULL,
    state text NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled', 'skipped')),
    queued_at timestamptz NOT NULL,
    not_before timestamptz NOT NULL,
    attempt integer NOT NULL DEFAULT 0,
    token bigint NOT NULL DEFAULT 0,
    seq bigint NOT NULL DEFAULT 0,
    exporter text,
    lease_until timestamptz,
    window_start timestamptz,
    window_end timestamptz,
    cancel_reason text CHECK (cancel_reason IN ('requested', 'job-deleted')),
    cancel_by uuid,
    ended_at timestamptz,
    CHECK ((state = 'running') = (lease_until IS NOT NULL)),
    CHECK ((state IN ('queued', 'running')) = (ended_at IS NULL))
);
CREATE INDEX run_open ON run (queued_at) WHERE state IN ('queued', 'running');
CREATE INDEX run_open_of_job ON run (job_id) WHERE state IN ('queued', 'running');

-- Finished parts: stored, but not visible until their run succeeds.
CREATE TABLE part (
    run_id uuid NOT NULL REFERENCES run,
    kind text NOT NULL,
    number integer NOT NULL,
    token bigint NOT NULL,
    name text NOT NULL,
    object text NOT NULL,
    rows bigint NOT NULL,
    bytes_raw bigint NOT NULL,
    bytes_packed bigint NOT NULL,
    sha256 text NOT NULL,
    PRIMARY KEY (run_id, kind, number)
);

-- Cancel commands that arrived before the trigger of their run.
CREATE TABLE early_cancel (
    run_id uuid PRIMARY KEY,
    requested_by uuid,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Events, written in the same transaction as the change that they report, until a relay has published them.
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shard smallint NOT NULL,
    topic text NOT NULL,
    key bytea NOT NULL,
    value bytea,
    headers bytea NOT NULL,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX outbox_shard ON outbox (shard, id);
CREATE FUNCTION outbox_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify(current_schema() || '_outbox', '');
    RETURN NULL;
END $$;
CREATE TRIGGER outbox_notify AFTER INSERT ON outbox FOR EACH STATEMENT EXECUTE FUNCTION outbox_notify();

-- Wakes exporters: 'work' when there may be work, 'cancel' when a run's holder must check it. For each row, and only
-- for a change: a statement that changes nothing fires statement triggers too, and exporters would wake each other
-- forever.
CREATE FUNCTION run_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify(current_schema() || '_run', TG_ARGV[0]);
    RETURN NULL;
END $$;
CREATE TRIGGER run_admitted AFTER INSERT ON run FOR EACH ROW EXECUTE FUNCTION run_notify('work');
CREATE TRIGGER run_moved AFTER UPDATE OF state ON run FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION run_notify('work');
CREATE TRIGGER run_cancel AFTER UPDATE OF cancel_reason ON run FOR EACH ROW
    WHEN (OLD.cancel_reason IS DISTINCT FROM NEW.cancel_reason) EXECUTE FUNCTION run_notify('cancel');

-- migrate: rollback
DROP TABLE outbox, early_cancel, part, run, certificate, job;
DROP FUNCTION outbox_notify();
DROP FUNCTION run_notify();
