-- The run log, artifacts, estimates, identities and the outbox.
-- depends: 

-- migrate: apply
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
CREATE INDEX run_tenant_created ON run (tenant_id, created_at, run_id) WHERE removed_at IS NULL;
CREATE INDEX run_job_created ON run (job_id, created_at, run_id) WHERE removed_at IS NULL;

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

-- Files of runs that have succeeded. `object` is the path in the object store; `downloads` counts started downloads.
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
    CHECK ((state = 'available') = (removed_at IS NULL))
);
CREATE INDEX artifact_run ON artifact (run_id);
CREATE INDEX artifact_tenant_created ON artifact (tenant_id, created_at, artifact_id);

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
-- `curve`: the fraction of its duration at which 0, 5 ... 100 % of its units were done.
CREATE TABLE estimate_score (
    run_id uuid PRIMARY KEY,
    job_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    curve double precision[],
    estimates integer NOT NULL,
    error_ratio double precision,
    coverage double precision,
    shown jsonb NOT NULL,
    scored_at timestamptz NOT NULL
);
CREATE INDEX estimate_score_job ON estimate_score (job_id, scored_at);

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

-- migrate: rollback
DROP TABLE outbox, estimate_score, estimate_state, artifact, part, run_event, run, job, identity;
DROP FUNCTION outbox_notify;
DROP SEQUENCE run_version;
