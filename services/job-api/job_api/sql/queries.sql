-- scope: say whose rows this connection may see until it goes back to the pool
SELECT set_config('job_api.scope', $1, false);

-- scope_transaction: say whose rows this transaction may see
SELECT set_config('job_api.scope', $1, true);

-- insert_tenant: make a tenant
INSERT INTO tenant (tenant_id, name, source_tenant, media_types, created_at) VALUES ($1, $2, $3, $4, $5);

-- tenant: one tenant
SELECT tenant_id, name, source_tenant, media_types FROM tenant WHERE tenant_id = $1;

-- lock_tenant: a tenant, held until the transaction ends
SELECT tenant_id, name, source_tenant, media_types FROM tenant WHERE tenant_id = $1 FOR UPDATE;

-- choose_media_types: change what a tenant's jobs may choose from
UPDATE tenant SET media_types = $2 WHERE tenant_id = $1;

-- tenant_named: the tenant of a name
SELECT tenant_id, name, source_tenant, media_types FROM tenant WHERE lower(name) = lower($1);

-- insert_user: make a user; returns nothing when the name is taken
INSERT INTO app_user (user_id, tenant_id, name, password_hash, roles, created_at, issuer)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT DO NOTHING
RETURNING user_id;

-- users_named: who may be meant by a user name, in the named tenant or (NULL) in any
SELECT app_user.user_id, app_user.tenant_id, app_user.name, app_user.password_hash, app_user.roles
FROM app_user JOIN tenant USING (tenant_id)
WHERE lower(app_user.name) = lower($1) AND ($2::text IS NULL OR lower(tenant.name) = lower($2)) AND NOT disabled
    AND issuer IS NULL
ORDER BY app_user.created_at
LIMIT 5;

-- insert_identity: make an API key or a session
INSERT INTO identity
    (identity_id, tenant_id, user_id, kind, name, roles, secret_hash, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- identity: what a bearer token names
SELECT identity_id, tenant_id, user_id, kind, name, roles, secret_hash, created_at, expires_at, revoked_at, version
FROM identity WHERE identity_id = $1;

-- keys: a page of a tenant's API keys, each with its state as of $2; filters and order are put in from a fixed choice
SELECT key.*, {sort}::text AS sorted_by
FROM (
    SELECT identity_id, tenant_id, user_id, kind, name, roles, secret_hash, created_at, expires_at, revoked_at, version,
        CASE
            WHEN revoked_at IS NOT NULL THEN 'revoked'
            WHEN expires_at <= $2::timestamptz THEN 'expired'
            ELSE 'active'
        END AS state
    FROM identity WHERE kind = 'api-key'
) AS key
WHERE tenant_id = $1 {conditions}
ORDER BY {sort} {direction}, identity_id {direction}
LIMIT {limit};

-- revoke_identity: end a key or session; returns it unless it was revoked before
UPDATE identity SET revoked_at = $3, version = version + 1
WHERE tenant_id = $1 AND identity_id = $2 AND revoked_at IS NULL
RETURNING identity_id, tenant_id, user_id, kind, name, roles, secret_hash, created_at, expires_at, revoked_at, version;

-- insert_certificate: keep a certificate
INSERT INTO certificate
    (certificate_id, tenant_id, name, state, pem, fingerprint, subject, key_bits, not_before, not_after, created_at)
VALUES ($1, $2, $3, 'active', $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT DO NOTHING
RETURNING certificate_id, tenant_id, version, name, state, pem, fingerprint, subject, key_bits, not_before, not_after,
    created_at, retired_at;

-- certificate: one certificate of a tenant
SELECT certificate_id, tenant_id, version, name, state, pem, fingerprint, subject, key_bits, not_before, not_after,
    created_at, retired_at
FROM certificate WHERE tenant_id = $1 AND certificate_id = $2;

-- certificate_like: the active certificate that stands in the way of another of this name or fingerprint
SELECT certificate_id, tenant_id, version, name, state, pem, fingerprint, subject, key_bits, not_before, not_after,
    created_at, retired_at
FROM certificate
WHERE tenant_id = $1 AND state = 'active' AND (fingerprint = $2 OR lower(name) = lower($3))
ORDER BY fingerprint <> $2
LIMIT 1;

-- certificates_expiring: how many active certificates have expired, or will within a day, a week, 30 days
SELECT days, count(certificate_id)
FROM unnest(ARRAY[0, 1, 7, 30]) AS days
    LEFT JOIN certificate ON state = 'active' AND not_after <= $1::timestamptz + make_interval(days => days)
GROUP BY days;

-- certificates: a page of a tenant's certificates; filters and order are put in from a fixed choice
SELECT certificate_id, tenant_id, version, name, state, pem, fingerprint, subject, key_bits, not_before, not_after,
    created_at, retired_at, {sort}::text AS sorted_by
FROM certificate
WHERE tenant_id = $1 {conditions}
ORDER BY {sort} {direction}, certificate_id {direction}
LIMIT {limit};

-- context: what jobs must know of a tenant, once for each of its certificates
SELECT tenant.source_tenant, tenant.media_types, certificate_id, certificate.name, state, not_before, not_after
FROM tenant LEFT JOIN certificate USING (tenant_id)
WHERE tenant_id = $1;

-- retire_certificate: take a certificate out of use; returns it unless it was retired before
UPDATE certificate SET state = 'retired', retired_at = $3, version = version + 1
WHERE tenant_id = $1 AND certificate_id = $2 AND state = 'active'
RETURNING certificate_id, tenant_id, version, name, state, pem, fingerprint, subject, key_bits, not_before, not_after,
    created_at, retired_at;

-- insert_job: keep a new job
INSERT INTO job
    (job_id, tenant_id, version, state, state_reason, title, description, source, type, settings, schedule_kind,
    schedule_start, schedule_immediately, schedule_every, catch_up, overlap, created_at, saved_at, next_run_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19);

-- update_job: keep a job's next version
UPDATE job SET
    version = $3, state = $4, state_reason = $5, title = $6, description = $7, source = $8, type = $9, settings = $10,
    schedule_kind = $11, schedule_start = $12, schedule_immediately = $13, schedule_every = $14, catch_up = $15,
    overlap = $16, saved_at = $18, next_run_at = $19,
    -- a resumed job starts counting its failures anew
    failures = CASE WHEN state = 'suspended' AND $4 = 'active' THEN 0 ELSE failures END
WHERE job_id = $1 AND tenant_id = $2 AND created_at = $17;

-- delete_job: remove a job, and its read model of runs with it
DELETE FROM job WHERE tenant_id = $1 AND job_id = $2;

-- lock_job: a job to be changed
SELECT job.job_id, job.tenant_id, job.version, job.state, job.state_reason, job.description, job.settings::text AS settings,
    job.schedule_kind, job.schedule_start, job.schedule_immediately, job.schedule_every, job.catch_up, job.overlap,
    job.created_at, job.saved_at
FROM job WHERE tenant_id = $1 AND job_id = $2
FOR UPDATE;

-- busy_run: the run of a job that is queued or running, the running one first
SELECT run_id FROM run_view
WHERE tenant_id = $1 AND job_id = $2 AND state IN ('queued', 'running')
ORDER BY state DESC, slot
LIMIT 1;

-- job: one job with its latest run
SELECT job.job_id, job.tenant_id, job.version, job.state, job.state_reason, job.description, job.settings::text AS settings,
    job.schedule_kind, job.schedule_start, job.schedule_immediately, job.schedule_every, job.catch_up, job.overlap,
    job.created_at, job.saved_at, job.latest_run, job.last_run_at, job.next_run_at,
    run.slot AS run_slot, run.state AS run_state, run.started_at, run.ended_at, run.message, run.progress,
    run.eta_seconds, run.eta_low, run.eta_high, run.estimated_at
FROM job LEFT JOIN run_view AS run ON run.run_id = job.latest_run
WHERE job.tenant_id = $1 AND job.job_id = $2;

-- job_at_once: of one job what changes without a new version, where nothing is in sight yet: the scope is said and used in one round trip
-- OFFSET 0 keeps the planner from turning it round, and nothing from being found then.
SELECT found.*
FROM (SELECT set_config('job_api.scope', $1::uuid::text, false)::uuid AS tenant_id OFFSET 0) AS said
CROSS JOIN LATERAL (
    SELECT job.job_id, job.version, job.saved_at, job.latest_run, job.last_run_at, job.next_run_at,
        run.slot AS run_slot, run.state AS run_state, run.started_at, run.ended_at, run.message, run.progress,
        run.eta_seconds, run.eta_low, run.eta_high, run.estimated_at
    FROM job LEFT JOIN run_view AS run ON run.run_id = job.latest_run
    WHERE job.tenant_id = said.tenant_id AND job.job_id = $2
    OFFSET 0
) AS found;

-- jobs: a page of a tenant's jobs, of each what changes without a new version; filters and order are put in from a fixed choice
-- The scope is said and used in one round trip, as in job_at_once; of one row on the left the order on the right stays.
SELECT found.*
FROM (SELECT set_config('job_api.scope', $1::uuid::text, false)::uuid AS tenant_id OFFSET 0) AS said
CROSS JOIN LATERAL (
    SELECT job.job_id, job.version, job.saved_at, job.latest_run, job.last_run_at, job.next_run_at,
        run.slot AS run_slot, run.state AS run_state, run.started_at, run.ended_at, run.message, run.progress,
        run.eta_seconds, run.eta_low, run.eta_high, run.estimated_at, {sort}::text AS sorted_by
    FROM job LEFT JOIN run_view AS run ON run.run_id = job.latest_run
    WHERE job.tenant_id = said.tenant_id {conditions}
    ORDER BY {sort} {direction}, job.job_id {direction}
    LIMIT {limit}
) AS found;

-- versions: jobs of a tenant as they stand
SELECT job.job_id, job.tenant_id, job.version, job.state, job.state_reason, job.description, job.settings::text AS settings,
    job.schedule_kind, job.schedule_start, job.schedule_immediately, job.schedule_every, job.catch_up, job.overlap,
    job.created_at, job.saved_at
FROM job WHERE tenant_id = $1 AND job_id = ANY ($2::uuid[]);

-- insert_run: note a run that was triggered or queued, unless it is known or its job is gone
INSERT INTO run_view (run_id, job_id, tenant_id, slot, cause, state, token, seq)
SELECT $1, job_id, tenant_id, $3, $4, 'queued', 0, -1 FROM job WHERE tenant_id = $5 AND job_id = $2 FOR KEY SHARE
ON CONFLICT DO NOTHING;

-- move_run: take an event of a run, unless a newer one was taken or the run has ended; returns what it was before
UPDATE run_view AS run SET
    state = $4, token = $2, seq = $3,
    started_at = CASE WHEN $4 = 'running' THEN coalesce(run.started_at, $5) ELSE run.started_at END,
    ended_at = CASE WHEN $4 IN ('queued', 'running') THEN NULL ELSE $5::timestamptz END,
    message = $6,
    progress = CASE WHEN $4 = 'succeeded' THEN 1 ELSE run.progress END,
    eta_seconds = CASE WHEN $4 = 'running' THEN run.eta_seconds END,
    eta_low = CASE WHEN $4 = 'running' THEN run.eta_low END,
    eta_high = CASE WHEN $4 = 'running' THEN run.eta_high END
WHERE run.run_id = $1 AND run.tenant_id = $7 AND (run.token, run.seq) < ($2::bigint, $3::bigint) AND run.ended_at IS NULL
RETURNING run.run_id;

-- estimate_run: take an estimate, unless a newer one was taken or the run has ended
UPDATE run_view SET
    estimate_token = $2, estimate_seq = $3, estimated_at = $4, progress = $5, eta_seconds = $6, eta_low = $7,
    eta_high = $8
WHERE run_id = $1 AND tenant_id = $9 AND (estimate_token, estimate_seq) < ($2::bigint, $3::bigint) AND ended_at IS NULL;

-- show_latest_run: let a job's row say what the list shows of its runs; one in progress counts before later ones
UPDATE job SET
    latest_run = latest.run_id, status = latest.state,
    last_run_at = (
        SELECT max(coalesce(started_at, ended_at)) FROM run_view WHERE job_id = $2 AND state <> 'skipped'
    )
FROM (
    SELECT run_id, state FROM run_view WHERE job_id = $2
    ORDER BY state = 'running' DESC, state = 'queued' DESC, slot DESC
    LIMIT 1
) AS latest
WHERE job.tenant_id = $1 AND job.job_id = $2;

-- show_next_run: let a job's row say when it is due next
UPDATE job SET next_run_at = $3 WHERE tenant_id = $1 AND job_id = $2 AND version = $4;

-- count_failure: count a failed run after another; returns how many there are in a row
UPDATE job SET failures = failures + 1 WHERE tenant_id = $1 AND job_id = $2 RETURNING failures;

-- forget_failures: a run has succeeded
UPDATE job SET failures = 0 WHERE tenant_id = $1 AND job_id = $2 AND failures > 0;

-- forget_runs: drop the read model's runs that ended long ago and are no job's latest
DELETE FROM run_view WHERE ended_at < $1 AND NOT EXISTS (SELECT FROM job WHERE job.latest_run = run_view.run_id);

-- settle: the end of a change: its lines of the audit trail, the answer that its key is to have, its events
WITH noted AS (
    INSERT INTO audit (tenant_id, at, actor_id, actor_name, action, object_kind, object_id, before, after)
    SELECT $1, $2, $3, $4, each.*
    FROM unnest($5::text[], $6::text[], $7::uuid[], $8::jsonb[], $9::jsonb[]) AS each
), remembered AS (
    UPDATE idempotency SET answer = $17::jsonb
    WHERE tenant_id = $1 AND user_id = $3 AND operation = $15 AND key = $16
)
INSERT INTO outbox (shard, topic, key, value, headers)
SELECT * FROM unnest($10::smallint[], $11::text[], $12::bytea[], $13::bytea[], $14::bytea[]);

-- reserve_key: take an Idempotency-Key for a request; waits for another request that has just taken it
INSERT INTO idempotency (tenant_id, user_id, operation, key, body_hash, written_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING
RETURNING key;

-- recall_key: what was answered to an Idempotency-Key
SELECT body_hash, answer FROM idempotency WHERE tenant_id = $1 AND user_id = $2 AND operation = $3 AND key = $4;

-- forget_keys: drop Idempotency-Keys that are too old to be sent again
DELETE FROM idempotency WHERE written_at < $1;

-- forget_identities: drop sessions and keys that ended long ago
DELETE FROM identity WHERE kind = 'session' AND (expires_at < $1 OR revoked_at < $1);

-- lock_bucket: the bucket of a name, full where it is new, to be changed in this transaction
INSERT INTO throttle AS held (key, tokens, at) VALUES ($1, $3, $2)
ON CONFLICT (key) DO UPDATE SET key = excluded.key
RETURNING tokens, at;

-- save_bucket: keep what a bucket holds
UPDATE throttle SET tokens = $2, at = $3 WHERE key = $1;

-- give_token_back: an attempt was no guess
UPDATE throttle SET tokens = tokens + 1 WHERE key = $1;

-- forget_buckets: drop buckets that have been full for long
DELETE FROM throttle WHERE at < $1;

-- users: a page of a tenant's users; filters and order are put in from a fixed choice
SELECT user_id, tenant_id, name, password_hash, roles, disabled, version, created_at, issuer, {sort}::text AS sorted_by
FROM app_user
WHERE tenant_id = $1 {conditions}
ORDER BY {sort} {direction}, user_id {direction}
LIMIT {limit};

-- user: one user of a tenant
SELECT user_id, tenant_id, name, password_hash, roles, disabled, version, created_at, issuer
FROM app_user WHERE tenant_id = $1 AND user_id = $2;

-- lock_users: all users of a tenant, so that two changes at once cannot leave it without an administrator
SELECT user_id, tenant_id, name, password_hash, roles, disabled, version, created_at, issuer
FROM app_user WHERE tenant_id = $1 ORDER BY user_id FOR UPDATE;

-- update_user: keep a user's next version
UPDATE app_user SET password_hash = $3, roles = $4, disabled = $5, version = version + 1
WHERE tenant_id = $1 AND user_id = $2
RETURNING user_id, tenant_id, name, password_hash, roles, disabled, version, created_at, issuer;

-- restrict_identities: let a user's sessions have exactly, and keys at most, the user's roles; returns what has changed
UPDATE identity SET
    roles = CASE kind
        WHEN 'session' THEN $3::text[]
        ELSE ARRAY(SELECT unnest(roles) INTERSECT SELECT unnest($3::text[]) ORDER BY 1)
    END,
    version = version + 1
WHERE tenant_id = $1 AND user_id = $2 AND revoked_at IS NULL
    AND ((kind = 'session' AND roles <> $3::text[]) OR (kind = 'api-key' AND NOT roles <@ $3::text[]))
RETURNING identity_id, tenant_id, user_id, kind, name, roles, secret_hash, created_at, expires_at, revoked_at, version;

-- revoke_identities_of: end all of a user's sessions, and ($4) keys too, but the one that asks ($5); returns them
UPDATE identity SET revoked_at = $3, version = version + 1
WHERE tenant_id = $1 AND user_id = $2 AND revoked_at IS NULL AND (kind = 'session' OR $4)
    AND identity_id IS DISTINCT FROM $5::uuid
RETURNING identity_id, tenant_id, user_id, kind, name, roles, secret_hash, created_at, expires_at, revoked_at, version;

-- audit: a page of a tenant's audit trail; filters and order are put in from a fixed choice
SELECT audit_id, at, actor_id, actor_name, action, object_kind, object_id, before, after, {sort}::text AS sorted_by
FROM audit
WHERE tenant_id = $1 {conditions}
ORDER BY {sort} {direction}, audit_id {direction}
LIMIT {limit};

-- every_job: jobs of all tenants from an id on, kept as they are until the transaction ends
SELECT job.job_id, job.tenant_id, job.version, job.state, job.state_reason, job.description, job.settings::text AS settings,
    job.schedule_kind, job.schedule_start, job.schedule_immediately, job.schedule_every, job.catch_up, job.overlap,
    job.created_at, job.saved_at
FROM job WHERE job_id > $1 ORDER BY job_id LIMIT $2
FOR SHARE;

-- every_deleted_job: jobs of all tenants that were deleted, from an id on
SELECT DISTINCT object_id FROM audit WHERE action = 'job.delete' AND object_id > $1 ORDER BY object_id LIMIT $2;

-- every_certificate: certificates of all tenants from an id on, kept as they are until the transaction ends
SELECT certificate_id, tenant_id, version, name, state, pem, fingerprint, subject, key_bits, not_before, not_after,
    created_at, retired_at
FROM certificate WHERE certificate_id > $1 ORDER BY certificate_id LIMIT $2
FOR SHARE;

-- every_identity: keys and sessions of all tenants from an id on, kept as they are until the transaction ends
SELECT identity_id, tenant_id, user_id, kind, name, roles, secret_hash, created_at, expires_at, revoked_at, version
FROM identity WHERE identity_id > $1 ORDER BY identity_id LIMIT $2
FOR SHARE;

-- every_subject: users of identity providers from an id on, kept as they are until the transaction ends
SELECT user_id, tenant_id, name, password_hash, roles, disabled, version, created_at, issuer
FROM app_user WHERE issuer IS NOT NULL AND user_id > $1 ORDER BY user_id LIMIT $2
FOR SHARE;
