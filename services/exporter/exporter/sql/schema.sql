-- The exporter's whole schema as it is today. The numbered files in migrations/ lead to the same database.

-- What exporters must know of a job: whether it is gone, and how far its last successful run's data is complete.
-- Its row is the lock under which overlap is decided.
CREATE TABLE job (
    job_id uuid PRIMARY KEY,
    deleted boolean NOT NULL DEFAULT false,
    complete_through timestamptz
);

-- Recipients' certificates, as job-api last told them.
CREATE TABLE certificate (
    certificate_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    version bigint NOT NULL,
    active boolean NOT NULL,
    pem text NOT NULL
);
CREATE INDEX certificate_tenant ON certificate (tenant_id) WHERE active;

-- The life of a run:
--   queued -> running                     claimed
--   running -> running                    taken over, after the lease ran out
--   running -> queued                     handed back, or to be tried again at not_before
--   queued | running -> cancelled         asked for, or the job was deleted
--   running -> succeeded | failed
--   (admitted as) skipped | cancelled     overlap; the job was deleted already
-- token rises at each claim and is checked by every write of a claim's holder; seq numbers a token's events.
-- Its holder is the run's coordinator. certificates are the recipients' (PEM) that its parts are made for; snapshot is the
-- name under which others can join the coordinator's, while the run is shared; sweep_at is when its objects are next
-- looked through for what nobody will ever see. cause is why the slot was due, NULL for runs admitted before it was recorded.
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
    certificates text[],
    snapshot text,
    sweep_at timestamptz,
    cause text,
    CHECK ((state = 'running') = (lease_until IS NOT NULL)),
    CHECK ((state IN ('queued', 'running')) = (ended_at IS NULL))
);
CREATE INDEX run_open ON run (queued_at) WHERE state IN ('queued', 'running');
CREATE INDEX run_open_of_job ON run (job_id) WHERE state IN ('queued', 'running');
CREATE INDEX run_sweep ON run (sweep_at) WHERE sweep_at IS NOT NULL;

-- What a run reads, by kind and key range: one slice a kind, or many of a large run that several exporters share.
--   waiting -> running       claimed
--   running -> waiting       given back
--   running -> running       claimed again, after a helper's lease ran out
--   running -> done          all its parts are stored and noted
-- token rises at each claim and is checked by every write of its holder. A running slice without a lease is the
-- coordinator's own and stands and falls with the run's lease. rows_expected is what the snapshot holds of it.
CREATE TABLE slice (
    run_id uuid NOT NULL REFERENCES run,
    kind text NOT NULL,
    number integer NOT NULL,
    key_first text,
    key_before text,
    rows_expected bigint,
    snapshot text NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done')),
    token bigint NOT NULL DEFAULT 0,
    exporter text,
    lease_until timestamptz,
    rows_done bigint NOT NULL DEFAULT 0,
    bytes_done bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (run_id, kind, number),
    CHECK (state = 'running' OR lease_until IS NULL),
    CHECK (state <> 'done' OR rows_expected IS NOT NULL)
);
CREATE INDEX slice_open ON slice (run_id) WHERE state <> 'done';

-- Finished parts, stored and not yet visible, until their run succeeds. number counts within the slice, token is the
-- slice's that made it, last_key is where a takeover goes on, snapshot is the one that its records were read in. name is
-- written no more: what a file is called is known when its run succeeds.
CREATE TABLE part (
    run_id uuid NOT NULL REFERENCES run,
    kind text NOT NULL,
    number integer NOT NULL,
    token bigint NOT NULL,
    name text,
    object text NOT NULL,
    rows bigint NOT NULL,
    bytes_raw bigint NOT NULL,
    bytes_packed bigint NOT NULL,
    sha256 text NOT NULL,
    slice integer NOT NULL DEFAULT 1,
    last_key text,
    snapshot text,
    PRIMARY KEY (run_id, kind, slice, number)
);

-- Cancel commands that came before the trigger of their run.
CREATE TABLE early_cancel (
    run_id uuid PRIMARY KEY,
    requested_by uuid,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Events written with the change that they tell, until a relay has published them.
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

-- Wakes exporters: 'work' when there may be some, 'cancel' when a run's holder must look. Row by row, and only for a
-- change: a statement that changes nothing fires statement triggers too, and exporters would wake each other for ever.
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
CREATE TRIGGER run_shared AFTER UPDATE OF snapshot ON run FOR EACH ROW
    WHEN (OLD.snapshot IS DISTINCT FROM NEW.snapshot) EXECUTE FUNCTION run_notify('work');
CREATE TRIGGER slice_moved AFTER UPDATE OF state ON slice FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION run_notify('work');
