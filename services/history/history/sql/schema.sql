-- The whole schema as it is now; a test compares it with the result of the migrations.

-- Every visible change of a run draws the next version; clients resume from the last version they have received.
CREATE SEQUENCE run_version;

-- API keys and sessions as job-api last published them, with only a hash of the secret.
CREATE TABLE identity (
    identity_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    name text NOT NULL,
    roles text[] NOT NULL,
    secret_hash text NOT NULL,
    expires_at timestamptz,
    revoked boolean NOT NULL,
    version bigint NOT NULL
);

-- The current titles of jobs; a run has its own, frozen with its settings.
CREATE TABLE job (
    job_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    title text NOT NULL,
    source text NOT NULL,
    type text NOT NULL,
    version bigint NOT NULL,
    deleted boolean NOT NULL DEFAULT false
);

-- The run log: one row per run. `fate_*` comes from sluice.triggers, `life_*` from sluice.runs, `progress_*` and
-- `estimate_*` from the topics of those names; `state` and `created_at` are derived from them.
CREATE TABLE run (
    run_id uuid PRIMARY KEY,
    job_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    version bigint NOT NULL,
    state text NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled', 'skipped')),
    created_at timestamptz NOT NULL,
    slot timestamptz,
    cause text,
    title text,
    source text,
    type text,
    settings jsonb,
    removed_at timestamptz,
    fate text CHECK (fate IN ('triggered', 'skipped')),
    fate_at timestamptz,
    fate_reason text,
    life_state text CHECK (life_state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled', 'skipped')),
    life_token bigint,
    life_seq bigint,
    first_at timestamptz,
    queued_at timestamptz,
    started_at timestamptz,
    attempt_started_at timestamptz,
    ended_at timestamptz,
    attempt integer NOT NULL DEFAULT 0,
    exporter text,
    window_start timestamptz,
    window_end timestamptz,
    recipients jsonb,
    reason text,
    message text,
    retry_at timestamptz,
    ended_by uuid,
    rows bigint,
    bytes_raw bigint,
    bytes_packed bigint,
    files integer NOT NULL DEFAULT 0,
    manifest text,
    data_complete_through timestamptz,
    progress_token bigint,
    progress_seq bigint,
    progress_at timestamptz,
    phase text,
    units_done bigint,
    units_total bigint,
    total_exact boolean,
    bytes_done bigint,
    slices jsonb,
    estimate_token bigint,
    estimate_seq bigint,
    estimated_at timestamptz,
    progress double precision,
    eta_seconds double precision,
    eta_low double precision,
    eta_high double precision
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX run_version_key ON run (version);
-- One for each order of the run list, and one for the runs of a state.
CREATE INDEX run_by_created ON run (tenant_id, created_at, run_id) WHERE removed_at IS NULL;
CREATE INDEX run_by_started ON run (tenant_id, (coalesce(started_at, '-infinity')), run_id) WHERE removed_at IS NULL;
CREATE INDEX run_by_ended ON run (tenant_id, (coalesce(ended_at, '-infinity')), run_id) WHERE removed_at IS NULL;
CREATE INDEX run_by_duration
    ON run (tenant_id, (coalesce(extract(epoch FROM ended_at - started_at), -1)::float8), run_id)
    WHERE removed_at IS NULL;
CREATE INDEX run_by_title ON run (tenant_id, (coalesce(title, '')), run_id) WHERE removed_at IS NULL;
CREATE INDEX run_by_state ON run (tenant_id, state, run_id) WHERE removed_at IS NULL;
CREATE INDEX run_by_type ON run (tenant_id, (coalesce(type, '')), run_id) WHERE removed_at IS NULL;
CREATE INDEX run_by_source ON run (tenant_id, (coalesce(source, '')), run_id) WHERE removed_at IS NULL;
CREATE INDEX run_by_rows ON run (tenant_id, (coalesce(rows, -1)), run_id) WHERE removed_at IS NULL;
CREATE INDEX run_by_files ON run (tenant_id, (files::bigint), run_id) WHERE removed_at IS NULL;
CREATE INDEX run_state_created ON run (tenant_id, state, created_at, run_id) WHERE removed_at IS NULL;
CREATE INDEX run_job_created ON run (job_id, created_at, run_id) WHERE removed_at IS NULL;

-- A row of `run` as the recorder writes it, with JSON as text. A release that needs more columns adds a type of its own,
-- so that recorders of both releases can write during an upgrade.
CREATE TYPE saved_run AS (
    run_id uuid,
    job_id uuid,
    tenant_id uuid,
    state text,
    created_at timestamptz,
    slot timestamptz,
    cause text,
    title text,
    source text,
    type text,
    settings text,
    removed_at timestamptz,
    fate text,
    fate_at timestamptz,
    fate_reason text,
    life_state text,
    life_token bigint,
    life_seq bigint,
    first_at timestamptz,
    queued_at timestamptz,
    started_at timestamptz,
    attempt_started_at timestamptz,
    ended_at timestamptz,
    attempt integer,
    exporter text,
    window_start timestamptz,
    window_end timestamptz,
    recipients text,
    reason text,
    message text,
    retry_at timestamptz,
    ended_by uuid,
    rows bigint,
    bytes_raw bigint,
    bytes_packed bigint,
    files integer,
    manifest text,
    data_complete_through timestamptz,
    progress_token bigint,
    progress_seq bigint,
    progress_at timestamptz,
    phase text,
    units_done bigint,
    units_total bigint,
    total_exact boolean,
    bytes_done bigint,
    slices text,
    estimate_token bigint,
    estimate_seq bigint,
    estimated_at timestamptz,
    progress double precision,
    eta_seconds double precision,
    eta_low double precision,
    eta_high double precision
);

-- The timelines of runs, each event once. Token -1 is the fate of the slot, decided by the scheduler.
CREATE TABLE run_event (
    run_id uuid NOT NULL,
    token bigint NOT NULL,
    seq bigint NOT NULL,
    kind text NOT NULL,
    at timestamptz NOT NULL,
    details jsonb NOT NULL,
    PRIMARY KEY (run_id, token, seq, kind)
);

-- Finished parts, whether or not their run has succeeded; a takeover may write one again.
CREATE TABLE part (
    run_id uuid NOT NULL,
    kind text NOT NULL,
    part integer NOT NULL,
    token bigint NOT NULL,
    seq bigint NOT NULL,
    at timestamptz NOT NULL,
    rows bigint NOT NULL,
    bytes_raw bigint NOT NULL,
    bytes_packed bigint NOT NULL,
    sha256 text NOT NULL,
    PRIMARY KEY (run_id, kind, part)
);

-- Files of runs that have succeeded. `object` is the path in the object store; `downloads` counts started downloads. A file that the
-- store refuses to delete has a `removal_fault`, and is tried again at `removal_retry_at`.
CREATE TABLE artifact (
    artifact_id uuid PRIMARY KEY,
    run_id uuid NOT NULL,
    job_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    title text NOT NULL,
    type text NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    part integer,
    rows bigint NOT NULL,
    bytes_raw bigint NOT NULL,
    bytes_packed bigint NOT NULL,
    sha256 text NOT NULL,
    object text NOT NULL,
    created_at timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'available' CHECK (state IN ('available', 'expired', 'deleted')),
    removed_at timestamptz,
    removed_by uuid,
    downloads bigint NOT NULL DEFAULT 0,
    downloaded_at timestamptz,
    removal_failures integer NOT NULL DEFAULT 0,
    removal_retry_at timestamptz,
    removal_fault text,
    -- when it is removed because all destinations have it and its job keeps it no longer (rule D10)
    delivered_until timestamptz,
    CHECK ((state = 'available') = (removed_at IS NULL))
);
CREATE INDEX artifact_run ON artifact (run_id);
CREATE INDEX artifact_refused ON artifact (removal_retry_at) WHERE removal_retry_at IS NOT NULL;
CREATE INDEX artifact_delivered ON artifact (delivered_until) WHERE state = 'available' AND delivered_until IS NOT NULL;
CREATE INDEX artifact_by_created ON artifact (tenant_id, created_at, artifact_id);
CREATE INDEX artifact_by_name ON artifact (tenant_id, name, artifact_id);
CREATE INDEX artifact_by_title ON artifact (tenant_id, title, artifact_id);
CREATE INDEX artifact_by_type ON artifact (tenant_id, type, artifact_id);
CREATE INDEX artifact_by_size ON artifact (tenant_id, bytes_packed, artifact_id);
CREATE INDEX artifact_by_state ON artifact (tenant_id, state, artifact_id);
CREATE INDEX artifact_job_created ON artifact (job_id, created_at, artifact_id);

-- The log of deliveries: one row for each run and destination, from sluice.deliveries; (token, seq) is the latest event.
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

-- Their timelines, without files.
CREATE TABLE delivery_event (
    delivery_id uuid NOT NULL,
    token bigint NOT NULL,
    seq bigint NOT NULL,
    kind text NOT NULL,
    at timestamptz NOT NULL,
    details jsonb NOT NULL,
    PRIMARY KEY (delivery_id, token, seq)
);

-- Files that are complete at their destination, the manifest included.
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

-- The states of running estimators, from which the next owner of the partition continues.
CREATE TABLE estimate_state (
    run_id uuid PRIMARY KEY,
    job_id uuid NOT NULL,
    token bigint NOT NULL,
    seq bigint NOT NULL,
    state jsonb NOT NULL,
    stored_at timestamptz NOT NULL
);
CREATE INDEX estimate_state_stored ON estimate_state (stored_at);

-- How an ended run's time was spent, and how good its estimates were.
-- `curve`: the fraction of its duration at which 0, 5 ... 100 % of its units were done; `points`: instants and the
-- units done by then, 100 at most; `shown`: [instant, predicted end, low, high], 64 at most.
CREATE TABLE estimate_score (
    run_id uuid PRIMARY KEY,
    job_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    curve double precision[],
    estimates integer NOT NULL,
    error_ratio double precision,
    coverage double precision,
    shown jsonb NOT NULL,
    scored_at timestamptz NOT NULL,
    points jsonb
);
CREATE INDEX estimate_score_job ON estimate_score (job_id, scored_at);

-- The retention of tenants' files, where it is shorter than that of the installation.
CREATE TABLE retention (
    tenant_id uuid PRIMARY KEY,
    days integer NOT NULL CHECK (days BETWEEN 1 AND 30)
);

-- Short-lived links to a file that need no login, with only a hash of their secret. `request_key` was the Idempotency-Key
-- of the request; only the previous release still writes it.
CREATE TABLE link (
    secret_hash text PRIMARY KEY,
    tenant_id uuid NOT NULL,
    artifact_id uuid NOT NULL,
    user_id uuid NOT NULL,
    name text NOT NULL,
    expires_at timestamptz NOT NULL,
    request_key text
);
CREATE UNIQUE INDEX link_request ON link (tenant_id, user_id, request_key);
CREATE INDEX artifact_available ON artifact (created_at) WHERE state = 'available';

-- Responses by Idempotency-Key (see shared.http.idempotency), without the secrets in them.
CREATE TABLE idempotency (
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    key text NOT NULL,
    fingerprint text NOT NULL,
    answer jsonb,
    written_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, user_id, key)
);
CREATE INDEX idempotency_age ON idempotency (written_at);

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

-- Rule S12, for every instant that a user gives or that follows from one.
ALTER TABLE identity ADD CONSTRAINT identity_instants CHECK (
        expires_at BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
    ) NOT VALID;
ALTER TABLE run ADD CONSTRAINT run_instants CHECK (
        slot BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
        AND window_start BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
        AND window_end BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
    ) NOT VALID;
ALTER TABLE link ADD CONSTRAINT link_instants CHECK (
        expires_at BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
    ) NOT VALID;
