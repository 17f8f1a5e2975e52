-- set_scope: set whose rows this connection sees until it returns to the pool
SELECT set_config('job_api.scope', $1, false);

-- set_transaction_scope: set whose rows this transaction sees
SELECT set_config('job_api.scope', $1, true);

-- insert_tenant: store a new tenant
INSERT INTO tenant (tenant_id, name, name_key, source_tenant, media_types, external_id, created_at)
VALUES (:tenant_id, :name, :name_key, :source_tenant, :media_types, :external_id, :created_at);

-- tenant: one tenant
SELECT tenant_id, name, source_tenant, media_types, external_id FROM tenant WHERE tenant_id = $1;

-- lock_tenant: one tenant, locked until the transaction ends
SELECT tenant_id, name, source_tenant, media_types, external_id FROM tenant WHERE tenant_id = $1 FOR UPDATE;

-- update_media_types: set the media types that a tenant's jobs may choose from
UPDATE tenant SET media_types = $2 WHERE tenant_id = $1;

-- first_steps: whether a tenant has ever had a certificate, and whether its users have ever fetched a file
SELECT
    EXISTS (SELECT FROM certificate WHERE tenant_id = $1) AS has_certificate,
    EXISTS (SELECT FROM audit WHERE tenant_id = $1 AND action = ANY ($2::text[])) AS has_download;

-- tenant_by_name: the tenant with the key of a name
SELECT tenant_id, name, source_tenant, media_types, external_id FROM tenant WHERE name_key = $1;

-- tenant_by_source_number: the tenant whose rows bear a number in the source
SELECT tenant_id, name, source_tenant, media_types, external_id FROM tenant WHERE source_tenant = $1;

-- insert_user: store a new user; returns nothing if the name is in use
INSERT INTO app_user (user_id, tenant_id, name, name_key, password_hash, roles, created_at, issuer)
VALUES (:user_id, :tenant_id, :name, :name_key, :password_hash, :roles, :created_at, :issuer)
ON CONFLICT DO NOTHING
RETURNING user_id;

-- users_by_name: whose name has a key and who log in with a password, in the tenant with a key or (NULL) in any; two suffice
SELECT app_user.user_id, app_user.tenant_id, app_user.name, app_user.password_hash, app_user.roles
FROM app_user JOIN tenant USING (tenant_id)
WHERE app_user.name_key = $1 AND ($2::text IS NULL OR tenant.name_key = $2) AND NOT disabled AND issuer IS NULL
LIMIT 2;

-- insert_identity: store a new API key or session
INSERT INTO identity
    (identity_id, tenant_id, user_id, kind, name, roles, secret_hash, created_at, expires_at)
VALUES (:identity_id, :tenant_id, :user_id, :kind, :name, :roles, :secret_hash, :created_at, :expires_at);

-- identity: the API key or session that a bearer token names
SELECT identity_id, tenant_id, user_id, kind, name, roles, secret_hash, created_at, expires_at, revoked_at, version
FROM identity WHERE identity_id = $1;

-- keys: a page of a tenant's API keys, each with its state at $2; conditions and order come from a fixed set
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

-- revoke_identity: revoke a key or session; returns it unless it was already revoked
UPDATE identity SET revoked_at = $3, version = version + 1
WHERE tenant_id = $1 AND identity_id = $2 AND revoked_at IS NULL
RETURNING identity_id, tenant_id, user_id, kind, name, roles, secret_hash, created_at, expires_at, revoked_at, version;

-- insert_certificate: store a new certificate; nothing if an active one has its name, fingerprint, or issuer and serial
INSERT INTO certificate (
    certificate_id, tenant_id, name, state, pem, fingerprint, issuer_and_serial, subject, key_type, key_bits, not_before,
    not_after, created_at
)
VALUES (
    :certificate_id, :tenant_id, :name, 'active', :pem, :fingerprint, :issuer_and_serial, :subject, :key_type, :key_bits,
    :not_before, :not_after, :created_at
)
ON CONFLICT DO NOTHING
RETURNING certificate_id, tenant_id, version, name, state, pem, fingerprint, subject, key_type, key_bits, not_before,
    not_after, created_at, retired_at;

-- certificate: one certificate of a tenant
SELECT certificate_id, tenant_id, version, name, state, pem, fingerprint, subject, key_type, key_bits, not_before,
    not_after, created_at, retired_at
FROM certificate WHERE tenant_id = $1 AND certificate_id = $2;

-- certificates_by_id: some certificates of a tenant, by name
SELECT certificate_id, tenant_id, version, name, state, pem, fingerprint, subject, key_type, key_bits, not_before,
    not_after, created_at, retired_at
FROM certificate WHERE tenant_id = $1 AND certificate_id = ANY ($2::uuid[])
ORDER BY lower(name), certificate_id;

-- certificates_by_fingerprint: the newest certificate of a tenant with each of some fingerprints
SELECT DISTINCT ON (fingerprint) certificate_id, tenant_id, version, name, state, pem, fingerprint, subject, key_type,
    key_bits, not_before, not_after, created_at, retired_at
FROM certificate WHERE tenant_id = $1 AND fingerprint = ANY ($2::text[])
ORDER BY fingerprint, created_at DESC;

-- conflicting_certificate: the active certificate with this fingerprint or, failing that, issuer and serial, or name
SELECT certificate_id, tenant_id, version, name, state, pem, fingerprint, subject, key_type, key_bits, not_before,
    not_after, created_at, retired_at
FROM certificate
WHERE tenant_id = $1 AND state = 'active' AND (issuer_and_serial = $2 OR fingerprint = $3 OR lower(name) = lower($4))
ORDER BY fingerprint <> $3, issuer_and_serial IS DISTINCT FROM $2
LIMIT 1;

-- certificates_expiring: the number of active certificates that have expired, or will within 1, 7 and 30 days
SELECT days, count(certificate_id)
FROM unnest(ARRAY[0, 1, 7, 30]) AS days
    LEFT JOIN certificate ON state = 'active' AND not_after <= $1::timestamptz + make_interval(days => days)
GROUP BY days;

-- certificates: a page of a tenant's certificates; conditions and order come from a fixed set
SELECT certificate_id, tenant_id, version, name, state, pem, fingerprint, subject, key_type, key_bits, not_before,
    not_after, created_at, retired_at, {sort}::text AS sorted_by
FROM certificate
WHERE tenant_id = $1 {conditions}
ORDER BY {sort} {direction}, certificate_id {direction}
LIMIT {limit};

-- draft_context: what drafts are validated against: the tenant, once for each of its certificates
SELECT tenant.source_tenant, tenant.media_types, certificate_id, certificate.name, state, not_before, not_after
FROM tenant LEFT JOIN certificate USING (tenant_id)
WHERE tenant_id = $1;

-- retire_certificate: retire a certificate; returns it unless it was already retired
UPDATE certificate SET state = 'retired', retired_at = $3, version = version + 1
WHERE tenant_id = $1 AND certificate_id = $2 AND state = 'active'
RETURNING certificate_id, tenant_id, version, name, state, pem, fingerprint, subject, key_type, key_bits, not_before,
    not_after, created_at, retired_at;

-- insert_destination: store a new destination; returns nothing if another has its name
INSERT INTO destination
    (destination_id, tenant_id, version, name, kind, state, address, key_id, sealed_credentials, created_at, saved_at)
VALUES (
    :destination_id, :tenant_id, :version, :name, :kind, :state, :address, :key_id, :sealed_credentials, :created_at,
    :saved_at
)
ON CONFLICT DO NOTHING
RETURNING destination_id;

-- update_destination: store a destination's next version, unless another has its name
UPDATE destination SET
    version = :version, name = :name, state = :state, address = :address, key_id = :key_id,
    sealed_credentials = :sealed_credentials, saved_at = :saved_at, tested_at = :tested_at, test_id = :test_id,
    test_requested_at = :test_requested_at, test_ended_at = :test_ended_at, test_report = :test_report
WHERE tenant_id = :tenant_id AND destination_id = :destination_id AND NOT EXISTS (
    SELECT FROM destination AS other
    WHERE other.tenant_id = :tenant_id AND lower(other.name) = lower(:name) AND other.destination_id <> :destination_id
)
RETURNING destination_id;

-- destination: one destination of a tenant
SELECT destination_id, tenant_id, version, name, kind, state, address::text AS address, key_id, sealed_credentials,
    created_at, saved_at, test_id, test_requested_at, test_ended_at, test_report::text AS test_report, tested_at
FROM destination WHERE tenant_id = $1 AND destination_id = $2;

-- lock_destination: one destination of a tenant, locked until the transaction ends
SELECT destination_id, tenant_id, version, name, kind, state, address::text AS address, key_id, sealed_credentials,
    created_at, saved_at, test_id, test_requested_at, test_ended_at, test_report::text AS test_report, tested_at
FROM destination WHERE tenant_id = $1 AND destination_id = $2 FOR UPDATE;

-- destinations: a page of a tenant's destinations; conditions and order come from a fixed set
SELECT destination_id, tenant_id, version, name, kind, state, address::text AS address, key_id, sealed_credentials,
    created_at, saved_at, test_id, test_requested_at, test_ended_at, test_report::text AS test_report, tested_at,
    {sort}::text AS sorted_by
FROM destination
WHERE tenant_id = $1 {conditions}
ORDER BY {sort} {direction}, destination_id {direction}
LIMIT {limit};

-- destinations_of_jobs: the names of some of a tenant's destinations, which cannot be deleted until the transaction ends
SELECT destination_id, name, kind, state FROM destination WHERE tenant_id = $1 AND destination_id = ANY ($2::uuid[])
FOR SHARE;

-- jobs_with_destination: the jobs of a tenant that deliver to a destination, by title
SELECT job_id, title FROM job
WHERE tenant_id = $1 AND settings -> 'delivery' -> 'destinations' ? $2::text
ORDER BY title_key, job_id;

-- apply_destination_test: store the result of a destination's latest test, once
UPDATE destination SET
    test_ended_at = :ended_at, test_report = :report,
    tested_at = CASE WHEN :passed THEN :ended_at ELSE tested_at END
WHERE tenant_id = :tenant_id AND destination_id = :destination_id AND test_id = :test_id AND test_ended_at IS NULL;

-- delete_destination: delete a destination; its deletion is remembered as announced
WITH gone AS (
    DELETE FROM destination WHERE tenant_id = $1 AND destination_id = $2 RETURNING destination_id, tenant_id, version
)
INSERT INTO deletion (object_id, kind, tenant_id, version, deleted_at, announced_at)
SELECT destination_id, 'destination', tenant_id, version + 1, $3, $3 FROM gone
ON CONFLICT DO NOTHING;

-- certificate_uses: how many jobs encrypt for each of some certificates, and when a run last did
-- A job that names no certificate encrypts for all that are active; one that has run once encrypts for none again.
WITH live AS (
    SELECT CASE WHEN jsonb_typeof(settings -> 'certificates') = 'array' THEN settings -> 'certificates' END AS named
    FROM job WHERE tenant_id = $1 AND state_reason IS DISTINCT FROM 'one-time'
),
counted AS (
    SELECT id::uuid AS certificate_id, count(*) AS jobs
    FROM live CROSS JOIN LATERAL jsonb_array_elements_text(coalesce(named, '[]')) AS each (id)
    GROUP BY id
)
SELECT certificate.certificate_id, certificate.last_used_at,
    coalesce(counted.jobs, 0)
    + CASE WHEN certificate.state = 'active' THEN (SELECT count(*) FROM live WHERE named IS NULL) ELSE 0 END AS jobs
FROM certificate LEFT JOIN counted USING (certificate_id)
WHERE certificate.tenant_id = $1 AND certificate.certificate_id = ANY ($2::uuid[]);

-- dependent_jobs: the jobs that have no active recipient but a certificate, by title, and how many there are
SELECT title, count(*) OVER () AS count
FROM job
WHERE tenant_id = $1 AND state_reason IS DISTINCT FROM 'one-time'
    AND CASE jsonb_typeof(settings -> 'certificates')
        WHEN 'array' THEN settings -> 'certificates' ? $2::uuid::text ELSE true
    END
    AND NOT EXISTS (
        SELECT FROM certificate AS other
        WHERE other.tenant_id = $1 AND other.state = 'active' AND other.certificate_id <> $2::uuid
            AND CASE jsonb_typeof(settings -> 'certificates')
                WHEN 'array' THEN settings -> 'certificates' ? other.certificate_id::text ELSE true
            END
    )
ORDER BY title_key, job_id
LIMIT $3;

-- lock_jobs_of_certificate: the repeated jobs that name a certificate, locked until the transaction ends
SELECT job.job_id, job.tenant_id, job.version, job.state, job.state_reason, job.description, job.settings::text AS settings,
    job.schedule_kind, job.schedule_start, job.schedule_immediately, job.schedule_every, job.catch_up, job.overlap,
    job.created_at, job.saved_at
FROM job
WHERE tenant_id = $1 AND schedule_kind <> 'once' AND jsonb_typeof(settings -> 'certificates') = 'array'
    AND settings -> 'certificates' ? $2::uuid::text
ORDER BY job_id
FOR UPDATE;

-- record_certificate_use: note that a run encrypts for the certificates with these fingerprints
UPDATE certificate SET last_used_at = $3
WHERE tenant_id = $1 AND fingerprint = ANY ($2::text[]) AND (last_used_at IS NULL OR last_used_at < $3);

-- insert_job: store a new job
INSERT INTO job
    (job_id, tenant_id, version, state, state_reason, title, description, source, type, settings, schedule_kind,
    schedule_start, schedule_immediately, schedule_every, catch_up, overlap, created_at, saved_at, next_run_at)
VALUES (
    :job_id, :tenant_id, :version, :state, :state_reason, :title, :description, :source, :type, :settings,
    :schedule_kind, :schedule_start, :schedule_immediately, :schedule_every, :catch_up, :overlap, :created_at,
    :saved_at, :next_run_at
);

-- update_job: store a job's next version
UPDATE job SET
    version = :version, state = :state, state_reason = :state_reason, title = :title, description = :description,
    source = :source, type = :type, settings = :settings, schedule_kind = :schedule_kind,
    schedule_start = :schedule_start, schedule_immediately = :schedule_immediately,
    schedule_every = :schedule_every, catch_up = :catch_up, overlap = :overlap, saved_at = :saved_at, next_run_at = :next_run_at,
    -- resuming a job resets its failures
    failures = CASE WHEN state = 'suspended' AND :state = 'active' THEN 0 ELSE failures END
WHERE job_id = :job_id AND tenant_id = :tenant_id AND created_at = :created_at;

-- delete_job: delete a job, and with it its runs in the read model; its deletion is remembered as announced
WITH gone AS (DELETE FROM job WHERE tenant_id = $1 AND job_id = $2 RETURNING job_id, tenant_id, version)
INSERT INTO deletion (object_id, kind, tenant_id, version, deleted_at, announced_at)
SELECT job_id, 'job', tenant_id, version + 1, $3, $3 FROM gone
ON CONFLICT DO NOTHING;

-- lock_job: one job, locked until the transaction ends
SELECT job.job_id, job.tenant_id, job.version, job.state, job.state_reason, job.description, job.settings::text AS settings,
    job.schedule_kind, job.schedule_start, job.schedule_immediately, job.schedule_every, job.catch_up, job.overlap,
    job.created_at, job.saved_at
FROM job WHERE tenant_id = $1 AND job_id = $2
FOR UPDATE;

-- run_in_progress: the queued or running run of a job, a running one first
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

-- job_in_scope: what changes about a job without a new version; sets the scope and uses it in one round trip
-- OFFSET 0 keeps the planner from reordering the two sides, which would find nothing.
SELECT found.*
FROM (SELECT set_config('job_api.scope', $1::uuid::text, false)::uuid AS tenant_id OFFSET 0) AS scope
CROSS JOIN LATERAL (
    SELECT job.job_id, job.version, job.saved_at, job.latest_run, job.last_run_at, job.next_run_at,
        run.slot AS run_slot, run.state AS run_state, run.started_at, run.ended_at, run.message, run.progress,
        run.eta_seconds, run.eta_low, run.eta_high, run.estimated_at
    FROM job LEFT JOIN run_view AS run ON run.run_id = job.latest_run
    WHERE job.tenant_id = scope.tenant_id AND job.job_id = $2
    OFFSET 0
) AS found;

-- jobs: a page of a tenant's jobs, as job_in_scope; conditions and order come from a fixed set
-- With a single row on the left, the order of the right side is kept.
SELECT found.*
FROM (SELECT set_config('job_api.scope', $1::uuid::text, false)::uuid AS tenant_id OFFSET 0) AS scope
CROSS JOIN LATERAL (
    SELECT job.job_id, job.version, job.saved_at, job.latest_run, job.last_run_at, job.next_run_at,
        run.slot AS run_slot, run.state AS run_state, run.started_at, run.ended_at, run.message, run.progress,
        run.eta_seconds, run.eta_low, run.eta_high, run.estimated_at, {sort}::text AS sorted_by
    FROM job LEFT JOIN run_view AS run ON run.run_id = job.latest_run
    WHERE job.tenant_id = scope.tenant_id {conditions}
    ORDER BY {sort} {direction}, job.job_id {direction}
    LIMIT {limit}
) AS found;

-- count_jobs: how many jobs of a tenant match conditions, and how many of them stand before a position in an order
SELECT count(*) AS total, count(*) FILTER (WHERE {position}) AS before FROM job WHERE tenant_id = $1 {conditions};

-- count_jobs_by_state: how many jobs a tenant has, in all and by what users look for
SELECT count(*) AS "all",
    count(*) FILTER (WHERE status = 'running') AS running,
    count(*) FILTER (WHERE status = 'queued') AS queued,
    count(*) FILTER (WHERE status = 'failed') AS failed,
    count(*) FILTER (WHERE state = 'suspended') AS suspended
FROM job WHERE tenant_id = $1;

-- jobs_by_id: the current versions of some of a tenant's jobs
SELECT job.job_id, job.tenant_id, job.version, job.state, job.state_reason, job.description, job.settings::text AS settings,
    job.schedule_kind, job.schedule_start, job.schedule_immediately, job.schedule_every, job.catch_up, job.overlap,
    job.created_at, job.saved_at
FROM job WHERE tenant_id = $1 AND job_id = ANY ($2::uuid[]);

-- insert_run: store a triggered or queued run, unless it is known or its job has been deleted
INSERT INTO run_view (run_id, job_id, tenant_id, slot, cause, state, token, seq)
SELECT $1, job_id, tenant_id, $3, $4, 'queued', 0, -1 FROM job WHERE tenant_id = $5 AND job_id = $2 FOR KEY SHARE
ON CONFLICT DO NOTHING;

-- update_slot: set the slot that the scheduler gave to a requested run
UPDATE run_view SET slot = $2 WHERE run_id = $1 AND tenant_id = $3 AND slot <> $2;

-- requested_run: a run of a tenant that was requested now and has not ended, with its job
SELECT run.run_id, run.job_id, job.title, job.source, job.type, run.state, run.slot, run.started_at
FROM run_view AS run JOIN job USING (job_id)
WHERE run.tenant_id = $1 AND run.run_id = $2 AND run.cause = 'run-now' AND run.ended_at IS NULL;

-- apply_run_event: apply an event to its run, unless a newer one was applied or the run has ended; returns the run's id
UPDATE run_view AS run SET
    state = :state, token = :token, seq = :seq,
    started_at = CASE WHEN :state = 'running' THEN coalesce(run.started_at, :at) ELSE run.started_at END,
    ended_at = CASE WHEN :state IN ('queued', 'running') THEN NULL ELSE :at::timestamptz END,
    message = :message,
    progress = CASE WHEN :state = 'succeeded' THEN 1 ELSE run.progress END,
    eta_seconds = CASE WHEN :state = 'running' THEN run.eta_seconds END,
    eta_low = CASE WHEN :state = 'running' THEN run.eta_low END,
    eta_high = CASE WHEN :state = 'running' THEN run.eta_high END
WHERE run.run_id = :run_id AND run.tenant_id = :tenant_id AND run.ended_at IS NULL
    AND (run.token, run.seq) < (:token::bigint, :seq::bigint)
RETURNING run.run_id;

-- apply_estimate: apply an estimate to its run, unless a newer one was applied or the run has ended
UPDATE run_view SET
    estimate_token = :token, estimate_seq = :seq, estimated_at = :at, progress = :progress,
    eta_seconds = :eta_seconds, eta_low = :eta_low, eta_high = :eta_high
WHERE run_id = :run_id AND tenant_id = :tenant_id AND ended_at IS NULL
    AND (estimate_token, estimate_seq) < (:token::bigint, :seq::bigint);

-- update_latest_run: bring up to date what the list shows of a job's runs; a run in progress precedes later ones
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

-- update_next_run: set when a job is next due, unless it has changed since
UPDATE job SET next_run_at = $3 WHERE tenant_id = $1 AND job_id = $2 AND version = $4;

-- count_failure: count a failed run; returns the number of consecutive failures
UPDATE job SET failures = failures + 1 WHERE tenant_id = $1 AND job_id = $2 RETURNING failures;

-- reset_failures: reset the number of consecutive failures after a successful run
UPDATE job SET failures = 0 WHERE tenant_id = $1 AND job_id = $2 AND failures > 0;

-- delete_old_runs: delete runs that ended long ago and are no job's latest
DELETE FROM run_view WHERE ended_at < $1 AND NOT EXISTS (SELECT FROM job WHERE job.latest_run = run_view.run_id);

-- flush: the end of a unit of work: its audit entries, its events, and its deferred statements
WITH {deferred}entries AS (
    INSERT INTO audit (tenant_id, at, actor_id, actor_name, action, object_kind, object_id, before, after)
    SELECT :tenant_id, :at, :actor_id, :actor_name, each.*
    FROM unnest(:actions::text[], :object_kinds::text[], :object_ids::uuid[], :befores::jsonb[], :afters::jsonb[]) AS each
)
INSERT INTO outbox (shard, topic, key, value, headers)
SELECT * FROM unnest(:shards::smallint[], :topics::text[], :keys::bytea[], :values::bytea[], :headers::bytea[]);

-- insert_audit_entry: add an entry of another service, unless it was added before or its tenant has been erased
INSERT INTO audit (
    tenant_id, at, actor_id, actor_name, action, object_kind, object_id, before, after, service, event_id
)
SELECT
    tenant_id, :at::timestamptz, :actor_id::uuid, :actor_name::text, :action::text, :object_kind::text,
    :object_id::uuid, :before::jsonb, :after::jsonb, :service::text, :event_id::uuid
FROM tenant WHERE tenant_id = :tenant_id
ON CONFLICT (event_id) DO NOTHING;

-- run_actors: who requested a run of a job, and who cancelled it
SELECT action, actor_name FROM audit
WHERE tenant_id = $1 AND (
    object_id = $2 AND action = 'run.cancel' OR object_id = $3 AND action = 'job.run' AND after ->> 'run' = $2::text
)
ORDER BY at DESC;

-- draft: what a user has typed in the editor and not yet saved
SELECT draft_id, job_id, title, content::text AS content, saved_as, written_at
FROM draft WHERE tenant_id = $1 AND user_id = $2 AND draft_id = $3;

-- latest_draft: a user's latest unsaved draft of changes to a job, or of a new one (NULL)
SELECT draft_id, job_id, title, content::text AS content, saved_as, written_at
FROM draft WHERE tenant_id = $1 AND user_id = $2 AND job_id IS NOT DISTINCT FROM $3 AND saved_as IS NULL
ORDER BY written_at DESC LIMIT 1;

-- keep_draft: store a draft, and lock it until the transaction ends; one that has become a job stays as it was saved
INSERT INTO draft (tenant_id, user_id, draft_id, job_id, title, content, written_at)
VALUES (:tenant_id, :user_id, :draft_id, :job_id, :title, :content::jsonb, :written_at)
ON CONFLICT (tenant_id, user_id, draft_id) DO UPDATE SET
    job_id = CASE WHEN draft.saved_as IS NULL THEN EXCLUDED.job_id ELSE draft.job_id END,
    title = CASE WHEN draft.saved_as IS NULL THEN EXCLUDED.title ELSE draft.title END,
    content = CASE WHEN draft.saved_as IS NULL THEN EXCLUDED.content ELSE draft.content END,
    written_at = EXCLUDED.written_at
RETURNING draft_id, job_id, title, content::text AS content, saved_as, written_at;

-- save_draft: record the job that a draft has become
UPDATE draft SET saved_as = $4 WHERE tenant_id = $1 AND user_id = $2 AND draft_id = $3;

-- discard_draft: delete a draft
DELETE FROM draft WHERE tenant_id = $1 AND user_id = $2 AND draft_id = $3;

-- discard_surplus_drafts: delete a user's drafts but the latest few
DELETE FROM draft WHERE tenant_id = $1 AND user_id = $2 AND draft_id IN (
    SELECT draft_id FROM draft WHERE tenant_id = $1 AND user_id = $2 ORDER BY written_at DESC OFFSET $3
);

-- delete_old_drafts: delete drafts that nobody has changed since an instant
DELETE FROM draft WHERE written_at < $1;

-- job_was_deleted: whether a tenant had a job that it has deleted
SELECT EXISTS (SELECT FROM deletion WHERE tenant_id = $1 AND object_id = $2 AND kind = 'job');

-- delete_old_sessions: delete sessions that ended long ago; their deletions are to be announced
WITH gone AS (
    DELETE FROM identity WHERE kind = 'session' AND (expires_at < $1 OR revoked_at < $1)
    RETURNING identity_id, tenant_id, version
)
INSERT INTO deletion (object_id, kind, tenant_id, version, deleted_at)
SELECT identity_id, 'identity', tenant_id, version + 1, $2 FROM gone
ON CONFLICT DO NOTHING;

-- unannounced_deletions: deletions that no event has announced, locked until the transaction ends
SELECT object_id, kind, tenant_id, version, deleted_at
FROM deletion WHERE announced_at IS NULL LIMIT $1 FOR UPDATE SKIP LOCKED;

-- announce_deletions: note that deletions are announced
UPDATE deletion SET announced_at = $2 WHERE object_id = ANY ($1::uuid[]);

-- old_deletions: deletions that were announced long ago, locked until the transaction ends
SELECT object_id, kind, tenant_id, version, deleted_at
FROM deletion WHERE announced_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED;

-- forget_deletions: forget deletions, since their tombstones are written
DELETE FROM deletion WHERE object_id = ANY ($1::uuid[]);

-- lock_bucket: the token bucket of a name, full if it is new, locked until the transaction ends
INSERT INTO throttle AS bucket (key, tokens, at) VALUES ($1, $3, $2)
ON CONFLICT (key) DO UPDATE SET key = excluded.key
RETURNING tokens, at;

-- save_bucket: store the tokens left in a bucket
UPDATE throttle SET tokens = $2, at = $3 WHERE key = $1;

-- return_token: return the token of a successful attempt
UPDATE throttle SET tokens = tokens + 1 WHERE key = $1;

-- delete_full_buckets: delete buckets that have long been full
DELETE FROM throttle WHERE at < $1;

-- users: a page of a tenant's users; conditions and order come from a fixed set
SELECT user_id, tenant_id, name, password_hash, roles, disabled, version, created_at, issuer, {sort}::text AS sorted_by
FROM app_user
WHERE tenant_id = $1 {conditions}
ORDER BY {sort} {direction}, user_id {direction}
LIMIT {limit};

-- user: one user of a tenant
SELECT user_id, tenant_id, name, password_hash, roles, disabled, version, created_at, issuer
FROM app_user WHERE tenant_id = $1 AND user_id = $2;

-- lock_users: all users of a tenant, locked, so that concurrent changes cannot remove the last administrator
SELECT user_id, tenant_id, name, password_hash, roles, disabled, version, created_at, issuer
FROM app_user WHERE tenant_id = $1 ORDER BY user_id FOR UPDATE;

-- update_user: store a user's next version
UPDATE app_user SET password_hash = $3, roles = $4, disabled = $5, version = version + 1
WHERE tenant_id = $1 AND user_id = $2
RETURNING user_id, tenant_id, name, password_hash, roles, disabled, version, created_at, issuer;

-- restrict_identities: give a user's sessions exactly, and keys at most, the user's roles; returns those that changed
UPDATE identity SET
    roles = CASE kind
        WHEN 'session' THEN $3::text[]
        ELSE ARRAY(SELECT unnest(roles) INTERSECT SELECT unnest($3::text[]) ORDER BY 1)
    END,
    version = version + 1
WHERE tenant_id = $1 AND user_id = $2 AND revoked_at IS NULL
    AND ((kind = 'session' AND roles <> $3::text[]) OR (kind = 'api-key' AND NOT roles <@ $3::text[]))
RETURNING identity_id, tenant_id, user_id, kind, name, roles, secret_hash, created_at, expires_at, revoked_at, version;

-- revoke_identities_of_user: revoke a user's sessions and, if $4, the API keys, except $5; returns those that were revoked
UPDATE identity SET revoked_at = $3, version = version + 1
WHERE tenant_id = $1 AND user_id = $2 AND revoked_at IS NULL AND (kind = 'session' OR $4)
    AND identity_id IS DISTINCT FROM $5::uuid
RETURNING identity_id, tenant_id, user_id, kind, name, roles, secret_hash, created_at, expires_at, revoked_at, version;

-- audit: a page of a tenant's audit trail; conditions and order come from a fixed set
SELECT audit_id, at, service, actor_id, actor_name, action, object_kind, object_id, before, after, {sort}::text AS sorted_by
FROM audit
WHERE tenant_id = $1 {conditions}
ORDER BY {sort} {direction}, audit_id {direction}
LIMIT {limit};

-- every_job: jobs of all tenants after an id, unchanged until the transaction ends
SELECT job.job_id, job.tenant_id, job.version, job.state, job.state_reason, job.description, job.settings::text AS settings,
    job.schedule_kind, job.schedule_start, job.schedule_immediately, job.schedule_every, job.catch_up, job.overlap,
    job.created_at, job.saved_at
FROM job WHERE job_id > $1 ORDER BY job_id LIMIT $2
FOR SHARE;

-- every_deletion: deletions of all tenants after an id, unchanged until the transaction ends
SELECT object_id, kind, tenant_id, version, deleted_at
FROM deletion WHERE object_id > $1 ORDER BY object_id LIMIT $2
FOR SHARE;

-- every_certificate: certificates of all tenants after an id, unchanged until the transaction ends
SELECT certificate_id, tenant_id, version, name, state, pem, fingerprint, subject, key_type, key_bits, not_before,
    not_after, created_at, retired_at
FROM certificate WHERE certificate_id > $1 ORDER BY certificate_id LIMIT $2
FOR SHARE;

-- every_identity: keys and sessions of all tenants after an id, unchanged until the transaction ends
SELECT identity_id, tenant_id, user_id, kind, name, roles, secret_hash, created_at, expires_at, revoked_at, version
FROM identity WHERE identity_id > $1 ORDER BY identity_id LIMIT $2
FOR SHARE;

-- every_subject: users of identity providers after an id, unchanged until the transaction ends
SELECT user_id, tenant_id, name, password_hash, roles, disabled, version, created_at, issuer
FROM app_user WHERE issuer IS NOT NULL AND user_id > $1 ORDER BY user_id LIMIT $2
FOR SHARE;

-- every_destination: destinations of all tenants after an id, unchanged until the transaction ends
SELECT destination_id, tenant_id, version, name, kind, state, address::text AS address, key_id, sealed_credentials,
    created_at, saved_at, test_id, test_requested_at, test_ended_at, test_report::text AS test_report, tested_at
FROM destination WHERE destination_id > $1 ORDER BY destination_id LIMIT $2
FOR SHARE;
