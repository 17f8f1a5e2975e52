-- The job API's schema as it is today. The numbered files in migrations/ produce the same database.

-- Every row belongs to one tenant, and row-level security hides the rows of all others: the setting job_api.scope names
-- the tenant, or is 'all' outside any tenant's request (login, events from Kafka), which only the system's role and the
-- owner may choose; unset, no row is visible.
-- Not a plain expression: the planner estimates it to be true of one row in 200, and then sorts whole tenants for a page.
CREATE FUNCTION in_scope(tenant uuid) RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL SAFE AS
$$ BEGIN
    RETURN tenant::text = current_setting('job_api.scope', true)
        OR (current_setting('job_api.scope', true) = 'all' AND current_user IN ('job_api_system', 'sluice_owner'));
END $$;

CREATE TABLE tenant (
    tenant_id uuid PRIMARY KEY,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    source_tenant integer NOT NULL CONSTRAINT tenant_source_number UNIQUE,
    media_types text[] NOT NULL,
    created_at timestamptz NOT NULL,
    -- compared instead of the name: job_api/domain/names.py computes it
    name_key text NOT NULL,
    -- what Sluice shows when it assumes a role of this tenant (rule D1), so that no other tenant can have it assumed
    external_id uuid NOT NULL DEFAULT gen_random_uuid()
);
CREATE UNIQUE INDEX tenant_name ON tenant (name_key);

-- Users with a password stored here, and users of an identity provider (issuer), whose name is their subject there.
CREATE TABLE app_user (
    user_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenant,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    password_hash text NOT NULL,
    roles text[] NOT NULL CHECK (roles <@ ARRAY['admin', 'operator', 'downloader', 'viewer']),
    disabled boolean NOT NULL DEFAULT false,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    issuer text,
    name_key text NOT NULL
);
CREATE UNIQUE INDEX app_user_name ON app_user (tenant_id, name_key) WHERE issuer IS NULL;
CREATE UNIQUE INDEX app_user_subject ON app_user (tenant_id, issuer, name) WHERE issuer IS NOT NULL;
CREATE INDEX app_user_listed ON app_user (tenant_id, lower(name), user_id);
CREATE INDEX app_user_any_tenant ON app_user (name_key) WHERE issuer IS NULL;

-- API keys and sessions, in which bearer tokens are looked up. Only a hash of the token's secret is stored.
CREATE TABLE identity (
    identity_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenant,
    user_id uuid NOT NULL REFERENCES app_user,
    kind text NOT NULL CHECK (kind IN ('api-key', 'session')),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    roles text[] NOT NULL CHECK (roles <@ ARRAY['admin', 'operator', 'downloader', 'viewer']),
    secret_hash text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    version integer NOT NULL DEFAULT 1
);
CREATE INDEX identity_listed ON identity (tenant_id, kind, created_at DESC, identity_id);
CREATE INDEX identity_of_user ON identity (user_id) WHERE revoked_at IS NULL;

CREATE TABLE certificate (
    certificate_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenant,
    version integer NOT NULL DEFAULT 1,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    -- active -> retired; terminal
    state text NOT NULL CHECK (state IN ('active', 'retired')),
    pem text NOT NULL,
    fingerprint text NOT NULL,
    subject text NOT NULL,
    key_bits integer NOT NULL,
    not_before timestamptz NOT NULL,
    not_after timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    retired_at timestamptz,
    key_type text NOT NULL DEFAULT 'rsa',
    -- SHA-256 in hex; null where an older active certificate has the same
    issuer_and_serial text,
    -- when a run last encrypted for it
    last_used_at timestamptz,
    CHECK ((state = 'retired') = (retired_at IS NOT NULL)),
    CONSTRAINT certificate_key CHECK (
        CASE key_type WHEN 'rsa' THEN key_bits >= 2048 WHEN 'ec' THEN key_bits IN (256, 384, 521) ELSE false END
    )
);
CREATE UNIQUE INDEX certificate_active_identity ON certificate (tenant_id, issuer_and_serial) WHERE state = 'active';
CREATE UNIQUE INDEX certificate_active_once ON certificate (tenant_id, fingerprint) WHERE state = 'active';
CREATE UNIQUE INDEX certificate_active_name ON certificate (tenant_id, lower(name)) WHERE state = 'active';
CREATE INDEX certificate_listed ON certificate (tenant_id, created_at DESC, certificate_id);

-- Destinations, a tenant's own storage. Credentials are sealed to the public key of the delivery process, which is named by
-- key_id: this service cannot open them. test_* is the latest test, tested_at when one last succeeded with this address and
-- these credentials; they are no part of a version.
CREATE TABLE destination (
    destination_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenant,
    version bigint NOT NULL,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    kind text NOT NULL CHECK (kind IN ('s3', 'gcs', 'azure', 'sftp')),
    state text NOT NULL CHECK (state IN ('active', 'disabled')),
    address jsonb NOT NULL,
    key_id text NOT NULL,
    sealed_credentials text NOT NULL,
    created_at timestamptz NOT NULL,
    saved_at timestamptz NOT NULL,
    test_id uuid,
    test_requested_at timestamptz,
    test_ended_at timestamptz,
    test_report jsonb,
    tested_at timestamptz,
    CHECK ((test_id IS NULL) = (test_requested_at IS NULL)),
    CHECK ((test_ended_at IS NULL) = (test_report IS NULL))
);
CREATE UNIQUE INDEX destination_name ON destination (tenant_id, lower(name));
CREATE INDEX destination_listed ON destination (tenant_id, created_at DESC, destination_id);

-- Jobs, and the facts about their runs that the list sorts by (status, last_run_at, next_run_at: no part of a version).
CREATE TABLE job (
    job_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenant,
    version bigint NOT NULL,
    state text NOT NULL CHECK (state IN ('active', 'suspended')),
    state_reason text CHECK (state_reason IN ('one-time', 'user', 'failures')),
    title text NOT NULL CHECK (length(title) BETWEEN 1 AND 200),
    description text NOT NULL CHECK (length(description) <= 2000),
    source text NOT NULL,
    type text NOT NULL CHECK (type IN ('interaction', 'contact')),
    settings jsonb NOT NULL,
    schedule_kind text NOT NULL CHECK (schedule_kind IN ('once', 'hourly', 'daily', 'weekly', 'monthly')),
    schedule_start timestamptz NOT NULL,
    schedule_immediately boolean NOT NULL,
    schedule_every integer NOT NULL CHECK (schedule_every >= 1),
    catch_up text NOT NULL CHECK (catch_up IN ('last', 'all', 'none')),
    overlap text NOT NULL CHECK (overlap IN ('skip', 'queue')),
    created_at timestamptz NOT NULL,
    saved_at timestamptz NOT NULL,
    status text NOT NULL DEFAULT 'none'
        CHECK (status IN ('none', 'queued', 'running', 'succeeded', 'failed', 'cancelled', 'skipped')),
    latest_run uuid,
    last_run_at timestamptz,
    next_run_at timestamptz,
    failures integer NOT NULL DEFAULT 0,
    CHECK ((state = 'active') = (state_reason IS NULL)),
    -- J6: never active
    CHECK (NOT (schedule_kind = 'once' AND schedule_immediately AND state = 'active')),
    -- sorted by: under row-level security only leakproof functions can use an index, and lower() is not leakproof
    title_key text NOT NULL GENERATED ALWAYS AS (lower(title)) STORED,
    last_run_key timestamptz NOT NULL GENERATED ALWAYS AS (coalesce(last_run_at, '-infinity'::timestamptz)) STORED,
    next_run_key timestamptz NOT NULL GENERATED ALWAYS AS (coalesce(next_run_at, 'infinity'::timestamptz)) STORED
);
-- One for each sort of the list, so that a page costs the same at any depth.
CREATE INDEX job_by_created ON job (tenant_id, created_at, job_id);
CREATE INDEX job_by_title ON job (tenant_id, title_key, job_id);
CREATE INDEX job_by_source ON job (tenant_id, source, job_id);
CREATE INDEX job_by_type ON job (tenant_id, type, job_id);
CREATE INDEX job_by_schedule ON job (tenant_id, schedule_kind, job_id);
CREATE INDEX job_by_state ON job (tenant_id, state, job_id);
CREATE INDEX job_by_status ON job (tenant_id, status, job_id);
CREATE INDEX job_by_last_run ON job (tenant_id, last_run_key, job_id);
CREATE INDEX job_by_next_run ON job (tenant_id, next_run_key, job_id);

-- The read model of runs, from requests, triggers, run events and estimates; deleted with the job.
CREATE TABLE run_view (
    run_id uuid PRIMARY KEY,
    job_id uuid NOT NULL REFERENCES job ON DELETE CASCADE,
    tenant_id uuid NOT NULL,
    slot timestamptz NOT NULL,
    cause text NOT NULL CHECK (cause IN ('schedule', 'immediate', 'catch-up', 'run-now')),
    -- queued -> running -> queued (handed back or retried) -> ... -> one of the four terminal states
    state text NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled', 'skipped')),
    token bigint NOT NULL,
    seq bigint NOT NULL,
    started_at timestamptz,
    ended_at timestamptz,
    message text,
    estimate_token bigint NOT NULL DEFAULT -1,
    estimate_seq bigint NOT NULL DEFAULT -1,
    estimated_at timestamptz,
    progress double precision,
    eta_seconds double precision,
    eta_low double precision,
    eta_high double precision,
    CHECK ((ended_at IS NOT NULL) = (state IN ('succeeded', 'failed', 'cancelled', 'skipped')))
);
CREATE INDEX run_view_job ON run_view (job_id, slot DESC);
CREATE INDEX run_view_ended ON run_view (ended_at) WHERE ended_at IS NOT NULL;

-- The audit trail of all services: entries of this one are written in the transaction of each change, those of other
-- services (`event_id` is theirs) arrive over Kafka.
CREATE TABLE audit (
    audit_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenant,
    at timestamptz NOT NULL,
    actor_id uuid,
    actor_name text NOT NULL,
    action text NOT NULL,
    object_kind text NOT NULL,
    object_id uuid NOT NULL,
    before jsonb,
    after jsonb,
    actor_key text NOT NULL GENERATED ALWAYS AS (lower(actor_name)) STORED,
    service text NOT NULL DEFAULT 'job-api',
    event_id uuid
);
CREATE UNIQUE INDEX audit_event ON audit (event_id);
-- As for jobs, one for each sort of the list.
CREATE INDEX audit_by_at ON audit (tenant_id, at, audit_id);
CREATE INDEX audit_by_service ON audit (tenant_id, service, audit_id);
CREATE INDEX audit_by_actor ON audit (tenant_id, actor_key, audit_id);
CREATE INDEX audit_by_action ON audit (tenant_id, action, audit_id);
CREATE INDEX audit_by_kind ON audit (tenant_id, object_kind, audit_id);
CREATE INDEX audit_by_object_id ON audit (tenant_id, object_id, audit_id);

-- What was deleted, for compacted topics: announced by an explicit record (`announced_at`; null until then), and after 90
-- days by a tombstone, with which the row goes. Without a foreign key, since an erased tenant's deletions are announced, too.
CREATE TABLE deletion (
    object_id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('job', 'certificate', 'identity', 'destination')),
    tenant_id uuid NOT NULL,
    version bigint NOT NULL,
    deleted_at timestamptz NOT NULL,
    announced_at timestamptz
);
CREATE INDEX deletion_due ON deletion (announced_at);

-- The responses to requests with an Idempotency-Key, for repeated requests (shared/http/idempotency.py).
CREATE TABLE idempotency (
    tenant_id uuid NOT NULL REFERENCES tenant,
    user_id uuid NOT NULL,
    key text NOT NULL,
    fingerprint text NOT NULL,
    answer jsonb,
    written_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, user_id, key)
);
CREATE INDEX idempotency_age ON idempotency (written_at);

-- What users have typed in the editor and not yet saved; `job_id` is the job that a draft changes, `saved_as` the job that
-- it has become, so that the same draft never becomes two.
CREATE TABLE draft (
    tenant_id uuid NOT NULL REFERENCES tenant,
    user_id uuid NOT NULL,
    draft_id uuid NOT NULL,
    job_id uuid,
    title text NOT NULL,
    content jsonb NOT NULL,
    saved_as uuid,
    written_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, user_id, draft_id)
);
CREATE INDEX draft_age ON draft (written_at);

-- Token buckets of attempts at passwords, by a hash of what they are counted for, so that no name is stored.
CREATE TABLE throttle (
    key text PRIMARY KEY,
    tokens double precision NOT NULL,
    at timestamptz NOT NULL
);
CREATE INDEX throttle_age ON throttle (at);

ALTER TABLE tenant ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE app_user ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE identity ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE certificate ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE destination ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE job ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE run_view ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE audit ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE deletion ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE idempotency ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE draft ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON tenant USING (in_scope(tenant_id));
CREATE POLICY own_tenant ON app_user USING (in_scope(tenant_id));
CREATE POLICY own_tenant ON identity USING (in_scope(tenant_id));
CREATE POLICY own_tenant ON certificate USING (in_scope(tenant_id));
CREATE POLICY own_tenant ON destination USING (in_scope(tenant_id));
CREATE POLICY own_tenant ON job USING (in_scope(tenant_id));
CREATE POLICY own_tenant ON run_view USING (in_scope(tenant_id));
CREATE POLICY own_tenant ON audit USING (in_scope(tenant_id));
CREATE POLICY own_tenant ON deletion USING (in_scope(tenant_id));
CREATE POLICY own_tenant ON idempotency USING (in_scope(tenant_id));
CREATE POLICY own_tenant ON draft USING (in_scope(tenant_id));

-- Events written in the transaction of their change, until a relay has published them.
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
-- Its rows are of all tenants, and a request only adds to them.
REVOKE SELECT, UPDATE, DELETE ON outbox FROM job_api;
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
ALTER TABLE certificate ADD CONSTRAINT certificate_instants CHECK (
        not_before BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
        AND not_after BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
    ) NOT VALID;
ALTER TABLE job ADD CONSTRAINT job_instants CHECK (
        schedule_start BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
        AND next_run_at BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
        AND last_run_at BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
    ) NOT VALID;
ALTER TABLE run_view ADD CONSTRAINT run_view_instants CHECK (
        slot BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
    ) NOT VALID;
