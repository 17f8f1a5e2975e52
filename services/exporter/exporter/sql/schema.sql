-- The exporter's whole schema as it is today. The numbered files in migrations/ lead to the same database.

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

-- The number of each tenant's rows in the source, as sluice.jobs first stated it. A run reads the source only with its own
-- tenant's number, whatever its trigger says.
CREATE TABLE source_number (
    tenant_id uuid PRIMARY KEY,
    source_tenant integer NOT NULL UNIQUE
);

-- The states of a run:
--   queued -> running                     claimed
--   running -> running                    taken over after its lease expired
--   running -> queued                     handed back, or to be retried at not_before
--   queued | running -> cancelled         on request, or because the job was deleted
--   running -> succeeded | failed
--   (admitted as) skipped | cancelled     overlap; the job was deleted before
-- token, the fencing token, rises at each claim and is checked by every write under a claim; seq numbers the events
-- of a token. heartbeat rises with each renewal of the claim's lease. An exporter that sees it stand still for
-- lease_length, by a clock of its own, sets lease_expired, and then any exporter may take the run over; lease_until
-- is still written, but only compared for a change. A retry waits until not_before, at most retry_delay: if the clock
-- is set back, it is due. The claim's holder is the run's coordinator. certificates (PEM) are those for which its
-- parts are encrypted. snapshot is the name under which helpers can join the coordinator's snapshot while the run is
-- shared. sweep_at is when its objects are next searched for garbage. window_note says why the end of a window of
-- since_last_run is not certain; window_position is where in its write-ahead log (pg_lsn) the source must have
-- arrived before a snapshot is read. cause is why the slot was due, NULL for runs admitted before it was recorded.
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
    window_note text,
    window_position text,
    heartbeat bigint NOT NULL DEFAULT 0,
    lease_length interval,
    lease_expired boolean NOT NULL DEFAULT false,
    retry_delay interval NOT NULL DEFAULT '0',
    CHECK ((state = 'running') = (lease_until IS NOT NULL)),
    CHECK ((state IN ('queued', 'running')) = (ended_at IS NULL))
);
CREATE INDEX run_open ON run (queued_at) WHERE state IN ('queued', 'running');
CREATE INDEX run_open_of_job ON run (job_id) WHERE state IN ('queued', 'running');
CREATE INDEX run_sweep ON run (sweep_at) WHERE sweep_at IS NOT NULL;

-- Runs that an exporter may claim now: queued ones whose time has come and those whose lease has expired, unless
-- another run of the job is running or was queued earlier. tenant_running counts the tenant's runs under a valid lease.
-- Its only table in FROM is run, so that FOR UPDATE on the view locks the run and checks these conditions again.
CREATE VIEW claimable_run AS
SELECT
    run_id,
    state,
    queued_at,
    (
        SELECT count(*) FROM run AS other
        WHERE other.tenant_id = run.tenant_id AND other.state = 'running' AND NOT other.lease_expired
    ) AS tenant_running
FROM run
WHERE cancel_reason IS NULL
  AND (
      (state = 'queued' AND clock_timestamp() NOT BETWEEN not_before - retry_delay AND not_before)
      OR (state = 'running' AND lease_expired)
  )
  AND NOT EXISTS (
      SELECT FROM run AS other
      WHERE other.job_id = run.job_id AND other.run_id <> run.run_id
        AND (other.state = 'running' OR (other.state = 'queued' AND other.queued_at < run.queued_at))
  );

-- The slices of a run, by kind and key range: one for each kind, or many of a large run that several exporters share.
--   waiting -> running       claimed
--   running -> waiting       released
--   running -> running       claimed again after a helper's lease expired
--   running -> done          all its parts are stored and saved
-- token rises at each claim and is checked by every write under that claim. A running slice without a lease belongs to
-- the run's coordinator, under the run's lease. rows_expected is the number of its rows in the snapshot.
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
    heartbeat bigint NOT NULL DEFAULT 0,
    lease_length interval,
    lease_expired boolean NOT NULL DEFAULT false,
    PRIMARY KEY (run_id, kind, number),
    CHECK (state = 'running' OR lease_until IS NULL),
    CHECK (state <> 'done' OR rows_expected IS NOT NULL)
);
CREATE INDEX slice_open ON slice (run_id) WHERE state <> 'done';

-- Finished parts: stored, but not visible until their run succeeds. number counts within the slice; token is that of
-- the slice's claim; last_key is where a takeover continues; snapshot names the snapshot in which its records were
-- read. name is no longer written: the names of files are known only when their run succeeds.
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
CREATE TRIGGER run_shared AFTER UPDATE OF snapshot ON run FOR EACH ROW
    WHEN (OLD.snapshot IS DISTINCT FROM NEW.snapshot) EXECUTE FUNCTION run_notify('work');
CREATE TRIGGER run_lease_expired AFTER UPDATE OF lease_expired ON run FOR EACH ROW
    WHEN (NEW.lease_expired AND NOT OLD.lease_expired) EXECUTE FUNCTION run_notify('work');
CREATE TRIGGER slice_lease_expired AFTER UPDATE OF lease_expired ON slice FOR EACH ROW
    WHEN (NEW.lease_expired AND NOT OLD.lease_expired) EXECUTE FUNCTION run_notify('work');
CREATE TRIGGER slice_moved AFTER UPDATE OF state ON slice FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION run_notify('work');

-- Rule S12, for every instant that a user gives or that follows from one.
ALTER TABLE run ADD CONSTRAINT run_instants CHECK (
        slot BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
        AND window_start BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
        AND window_end BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
    ) NOT VALID;

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
