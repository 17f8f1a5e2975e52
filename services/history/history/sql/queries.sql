-- lock_log: let one recorder write at a time, so that versions rise in commit order; end the session of one that stalls
SELECT pg_advisory_xact_lock(hashtext(current_schema() || '.run_log')),
    set_config('idle_in_transaction_session_timeout', '10000', true);

-- load_runs: the columns of runs that the projection starts from
SELECT
    run_id, job_id, tenant_id, slot, cause, removed_at,
    fate, fate_at, fate_reason,
    life_state, life_token, life_seq, first_at, queued_at, started_at, attempt_started_at, ended_at, attempt,
    exporter, window_start, window_end, recipients, reason, message, retry_at, ended_by, rows, bytes_raw,
    bytes_packed, files, manifest, data_complete_through,
    progress_token, progress_seq, progress_at, phase, units_done, units_total, total_exact, bytes_done, slices,
    estimate_token, estimate_seq, estimated_at, progress, eta_seconds, eta_low, eta_high
FROM run WHERE run_id = ANY($1::uuid[]);

-- save_runs: write runs, each under a new version; unknown settings never replace known ones
INSERT INTO run (
    version,
    run_id, job_id, tenant_id, state, created_at, slot, cause, title, source, type, settings, removed_at,
    fate, fate_at, fate_reason,
    life_state, life_token, life_seq, first_at, queued_at, started_at, attempt_started_at, ended_at, attempt,
    exporter, window_start, window_end, recipients, reason, message, retry_at, ended_by, rows, bytes_raw,
    bytes_packed, files, manifest, data_complete_through,
    progress_token, progress_seq, progress_at, phase, units_done, units_total, total_exact, bytes_done, slices,
    estimate_token, estimate_seq, estimated_at, progress, eta_seconds, eta_low, eta_high
)
SELECT
    nextval('run_version'),
    run_id, job_id, tenant_id, state, created_at, slot, cause, title, source, type, settings::jsonb, removed_at,
    fate, fate_at, fate_reason,
    life_state, life_token, life_seq, first_at, queued_at, started_at, attempt_started_at, ended_at, attempt,
    exporter, window_start, window_end, recipients::jsonb, reason, message, retry_at, ended_by, rows, bytes_raw,
    bytes_packed, files, manifest, data_complete_through,
    progress_token, progress_seq, progress_at, phase, units_done, units_total, total_exact, bytes_done,
    slices::jsonb,
    estimate_token, estimate_seq, estimated_at, progress, eta_seconds, eta_low, eta_high
FROM unnest($1::saved_run[])
ON CONFLICT (run_id) DO UPDATE SET
    version = EXCLUDED.version,
    state = EXCLUDED.state, created_at = EXCLUDED.created_at, slot = EXCLUDED.slot, cause = EXCLUDED.cause,
    title = coalesce(EXCLUDED.title, run.title), source = coalesce(EXCLUDED.source, run.source),
    type = coalesce(EXCLUDED.type, run.type), settings = coalesce(EXCLUDED.settings, run.settings),
    removed_at = EXCLUDED.removed_at,
    fate = EXCLUDED.fate, fate_at = EXCLUDED.fate_at, fate_reason = EXCLUDED.fate_reason,
    life_state = EXCLUDED.life_state, life_token = EXCLUDED.life_token, life_seq = EXCLUDED.life_seq,
    first_at = EXCLUDED.first_at, queued_at = EXCLUDED.queued_at, started_at = EXCLUDED.started_at,
    attempt_started_at = EXCLUDED.attempt_started_at, ended_at = EXCLUDED.ended_at, attempt = EXCLUDED.attempt,
    exporter = EXCLUDED.exporter, window_start = EXCLUDED.window_start, window_end = EXCLUDED.window_end,
    recipients = EXCLUDED.recipients, reason = EXCLUDED.reason, message = EXCLUDED.message,
    retry_at = EXCLUDED.retry_at, ended_by = EXCLUDED.ended_by, rows = EXCLUDED.rows,
    bytes_raw = EXCLUDED.bytes_raw, bytes_packed = EXCLUDED.bytes_packed, files = EXCLUDED.files,
    manifest = EXCLUDED.manifest, data_complete_through = EXCLUDED.data_complete_through,
    progress_token = EXCLUDED.progress_token, progress_seq = EXCLUDED.progress_seq,
    progress_at = EXCLUDED.progress_at, phase = EXCLUDED.phase, units_done = EXCLUDED.units_done,
    units_total = EXCLUDED.units_total, total_exact = EXCLUDED.total_exact, bytes_done = EXCLUDED.bytes_done,
    slices = EXCLUDED.slices,
    estimate_token = EXCLUDED.estimate_token, estimate_seq = EXCLUDED.estimate_seq,
    estimated_at = EXCLUDED.estimated_at, progress = EXCLUDED.progress, eta_seconds = EXCLUDED.eta_seconds,
    eta_low = EXCLUDED.eta_low, eta_high = EXCLUDED.eta_high;

-- insert_entries: add entries to timelines; existing ones stay
INSERT INTO run_event (run_id, token, seq, kind, at, details)
SELECT run_id, token, seq, kind, at, details::jsonb
FROM unnest(:run_id::uuid[], :token::bigint[], :seq::bigint[], :kind::text[], :at::timestamptz[], :details::text[])
    AS new (run_id, token, seq, kind, at, details)
ON CONFLICT DO NOTHING;

-- save_parts: add finished parts; one that a later claim wrote again replaces the earlier one
INSERT INTO part (run_id, kind, part, token, seq, at, rows, bytes_raw, bytes_packed, sha256)
SELECT run_id, kind, part, token, seq, at, rows, bytes_raw, bytes_packed, sha256
FROM unnest(
    :run_id::uuid[], :kind::text[], :part::integer[], :token::bigint[], :seq::bigint[], :at::timestamptz[],
    :rows::bigint[], :bytes_raw::bigint[], :bytes_packed::bigint[], :sha256::text[]
) AS new (run_id, kind, part, token, seq, at, rows, bytes_raw, bytes_packed, sha256)
ON CONFLICT (run_id, kind, part) DO UPDATE SET
    token = EXCLUDED.token, seq = EXCLUDED.seq, at = EXCLUDED.at, rows = EXCLUDED.rows,
    bytes_raw = EXCLUDED.bytes_raw, bytes_packed = EXCLUDED.bytes_packed, sha256 = EXCLUDED.sha256
WHERE (part.token, part.seq) < (EXCLUDED.token, EXCLUDED.seq);

-- insert_artifacts: add the files of runs that have succeeded; existing ones stay
INSERT INTO artifact (
    artifact_id, run_id, job_id, tenant_id, title, type, name, kind, part, rows, bytes_raw, bytes_packed, sha256,
    object, created_at
)
SELECT new.artifact_id, run_id, run.job_id, run.tenant_id, coalesce(run.title, ''), coalesce(run.type, ''), new.name,
    new.kind, new.part, new.rows, new.bytes_raw, new.bytes_packed, new.sha256, new.object, new.created_at
FROM unnest(
    :artifact_id::uuid[], :run_id::uuid[], :name::text[], :kind::text[], :part::integer[], :rows::bigint[],
    :bytes_raw::bigint[], :bytes_packed::bigint[], :sha256::text[], :object::text[], :created_at::timestamptz[]
) AS new (artifact_id, run_id, name, kind, part, rows, bytes_raw, bytes_packed, sha256, object, created_at)
JOIN run USING (run_id)
ON CONFLICT DO NOTHING;

-- remove_artifacts: mark files as removed from the store; the first removal counts
UPDATE artifact SET state = removed.reason, removed_at = removed.at, removed_by = removed.removed_by,
    removal_retry_at = NULL, removal_fault = NULL
FROM unnest(:run_id::uuid[], :object::text[], :reason::text[], :at::timestamptz[], :removed_by::uuid[])
    AS removed (run_id, object, reason, at, removed_by)
WHERE artifact.run_id = removed.run_id AND artifact.object = removed.object AND artifact.state = 'available';

-- load_deliveries: deliveries as the projection starts from them
SELECT delivery_id, run_id, job_id, tenant_id, destination_id, destination_name, destination_kind, title, slot, state, token,
    seq, created_at, started_at, ended_at, attempt, deliverer, retry_at, give_up_at, code, message, files, bytes, bytes_sent,
    manifest
FROM delivery WHERE delivery_id = ANY($1::uuid[]);

-- save_deliveries: write deliveries
INSERT INTO delivery (
    delivery_id, run_id, job_id, tenant_id, destination_id, destination_name, destination_kind, title, slot, state, token,
    seq, created_at, started_at, ended_at, attempt, deliverer, retry_at, give_up_at, code, message, files, bytes, bytes_sent,
    manifest
)
SELECT delivery_id, run_id, job_id, tenant_id, destination_id, destination_name, destination_kind, title, slot, state, token,
    seq, created_at, started_at, ended_at, attempt, deliverer, retry_at, give_up_at, code, message, files, bytes, bytes_sent,
    manifest
FROM jsonb_populate_recordset(NULL::delivery, $1::jsonb)
ON CONFLICT (delivery_id) DO UPDATE SET
    destination_name = EXCLUDED.destination_name,
    destination_kind = EXCLUDED.destination_kind,
    title = EXCLUDED.title,
    slot = EXCLUDED.slot,
    state = EXCLUDED.state,
    token = EXCLUDED.token,
    seq = EXCLUDED.seq,
    started_at = EXCLUDED.started_at,
    ended_at = EXCLUDED.ended_at,
    attempt = EXCLUDED.attempt,
    deliverer = EXCLUDED.deliverer,
    retry_at = EXCLUDED.retry_at,
    give_up_at = EXCLUDED.give_up_at,
    code = EXCLUDED.code,
    message = EXCLUDED.message,
    files = EXCLUDED.files,
    bytes = EXCLUDED.bytes,
    bytes_sent = EXCLUDED.bytes_sent,
    manifest = EXCLUDED.manifest;

-- insert_delivery_entries: add entries to the timelines of deliveries; existing ones stay
INSERT INTO delivery_event (delivery_id, token, seq, kind, at, details)
SELECT delivery_id, token, seq, kind, at, details FROM jsonb_populate_recordset(NULL::delivery_event, $1::jsonb)
ON CONFLICT DO NOTHING;

-- save_delivered_files: add files that are complete at their destination
INSERT INTO delivered_file (delivery_id, name, token, seq, at, object, bytes, sha256, sent)
SELECT delivery_id, name, token, seq, at, object, bytes, sha256, sent
FROM jsonb_populate_recordset(NULL::delivered_file, $1::jsonb)
ON CONFLICT (delivery_id, name) DO UPDATE SET
    token = EXCLUDED.token, seq = EXCLUDED.seq, at = EXCLUDED.at, object = EXCLUDED.object, bytes = EXCLUDED.bytes,
    sha256 = EXCLUDED.sha256,
    -- sent once, if one of its deliveries sent it
    sent = delivered_file.sent OR EXCLUDED.sent
WHERE (delivered_file.token, delivered_file.seq) < (EXCLUDED.token, EXCLUDED.seq);

-- touch_runs: draw new versions for runs whose deliveries have changed, so that they are shown again
UPDATE run SET version = nextval('run_version') WHERE run_id = ANY($1::uuid[]);

-- keep_delivered: set until when files are kept that all destinations of their run have, where its job says so (D10)
UPDATE artifact SET delivered_until = done.ended_at + make_interval(days => done.keep_days)
FROM (
    SELECT run.run_id, (run.settings -> 'delivery' ->> 'keep_days')::integer AS keep_days,
        max(delivery.ended_at) AS ended_at
    FROM run JOIN delivery USING (run_id)
    WHERE run.run_id = ANY($1::uuid[]) AND run.settings -> 'delivery' ->> 'keep_days' IS NOT NULL
    GROUP BY run.run_id
    HAVING bool_and(delivery.state = 'delivered')
        AND count(*) = jsonb_array_length(run.settings -> 'delivery' -> 'destinations')
) AS done
WHERE artifact.run_id = done.run_id AND artifact.delivered_until IS NULL;

-- list_deliveries: a page of a tenant's deliveries (see history.store.lists)
SELECT {columns}, ({sort})::text AS sorted_by FROM delivery
WHERE tenant_id = $1{conditions}
ORDER BY {sort} {direction}, delivery_id {direction}
LIMIT {limit};

-- find_delivery: a delivery of a tenant
SELECT {columns} FROM delivery WHERE tenant_id = $1 AND delivery_id = $2;

-- list_delivery_entries: the timeline of a delivery
SELECT kind, at, details FROM delivery_event WHERE delivery_id = $1 ORDER BY token, seq;

-- list_delivered_files: the latest 1,000 files that are complete at the destination
SELECT name, at, object, bytes, sha256, sent FROM delivered_file WHERE delivery_id = $1
ORDER BY at DESC, name LIMIT 1000;

-- save_identities: write API keys and sessions; an older version never replaces a newer one
INSERT INTO identity (identity_id, tenant_id, user_id, name, roles, secret_hash, expires_at, revoked, version)
SELECT identity_id, tenant_id, user_id, name, string_to_array(roles, ','), secret_hash, expires_at, revoked, version
FROM unnest(
    :identity_id::uuid[], :tenant_id::uuid[], :user_id::uuid[], :name::text[], :roles::text[], :secret_hash::text[],
    :expires_at::timestamptz[], :revoked::boolean[], :version::bigint[]
) AS new (identity_id, tenant_id, user_id, name, roles, secret_hash, expires_at, revoked, version)
ON CONFLICT (identity_id) DO UPDATE SET
    tenant_id = EXCLUDED.tenant_id, user_id = EXCLUDED.user_id, name = EXCLUDED.name, roles = EXCLUDED.roles,
    secret_hash = EXCLUDED.secret_hash, expires_at = EXCLUDED.expires_at, revoked = EXCLUDED.revoked,
    version = EXCLUDED.version
WHERE identity.version < EXCLUDED.version;

-- forget_identities: remove identities that were deleted long ago
DELETE FROM identity WHERE identity_id = ANY($1::uuid[]);

-- save_jobs: write jobs as they are now; an older version never replaces a newer one
INSERT INTO job (job_id, tenant_id, title, source, type, version)
SELECT job_id, tenant_id, title, source, type, version
FROM unnest(:job_id::uuid[], :tenant_id::uuid[], :title::text[], :source::text[], :type::text[], :version::bigint[])
    AS new (job_id, tenant_id, title, source, type, version)
ON CONFLICT (job_id) DO UPDATE SET
    title = EXCLUDED.title, source = EXCLUDED.source, type = EXCLUDED.type, version = EXCLUDED.version
WHERE job.version < EXCLUDED.version;

-- delete_jobs: mark jobs as deleted; their ids are never used again
UPDATE job SET deleted = true WHERE job_id = ANY($1::uuid[]);

-- notify: wake the processes that display runs as they change
SELECT pg_notify(current_schema() || '_runs', '');

-- identity_of: the identity of this id
SELECT identity_id, tenant_id, user_id, name, roles, secret_hash, expires_at, revoked
FROM identity WHERE identity_id = $1;

-- ended_identities: those of these identities that have been revoked or have expired
SELECT identity_id FROM identity WHERE identity_id = ANY($1::uuid[]) AND (revoked OR expires_at <= $2);

-- subject_standing: whether a user of an identity provider is disabled, and whether the tenant exists: each has keys
SELECT EXISTS (SELECT FROM identity WHERE identity_id = $1 AND revoked) AS disabled,
    EXISTS (SELECT FROM identity WHERE tenant_id = $2) AS tenant_known;

-- list_runs: a page of a tenant's runs (see history.store.lists)
SELECT {columns}, ({sort})::text AS sorted_by FROM run
WHERE tenant_id = $1 AND removed_at IS NULL{conditions}
ORDER BY {sort} {direction}, run_id {direction}
LIMIT {limit};

-- find_run: a run of a tenant
SELECT {columns} FROM run WHERE tenant_id = $1 AND run_id = $2 AND removed_at IS NULL;

-- list_parts: the finished parts of a run
SELECT kind, part, at, rows, bytes_raw, bytes_packed, sha256 FROM part WHERE run_id = $1 ORDER BY kind, part;

-- list_entries: the timeline of a run
SELECT token, seq, kind, at, details FROM run_event WHERE run_id = $1 ORDER BY at, token, seq;

-- changed_runs: runs that changed after a version, of one tenant or of all
SELECT {columns} FROM run
WHERE version > $1 AND ($2::uuid IS NULL OR tenant_id = $2)
ORDER BY version LIMIT $3;

-- last_version: the version of the latest change
SELECT coalesce(max(version), 0) FROM run;

-- list_artifacts: a page of a tenant's artifacts (see history.store.lists)
SELECT {columns}, ({sort})::text AS sorted_by FROM artifact
WHERE tenant_id = $1{conditions}
ORDER BY {sort} {direction}, artifact_id {direction}
LIMIT {limit};

-- file_sets: for each kind of file of some runs, how many there are, how many are available, and their sizes
SELECT run_id, kind, count(*) AS files, count(*) FILTER (WHERE state = 'available') AS available,
    sum(rows)::bigint AS rows, sum(bytes_raw)::bigint AS bytes_raw, sum(bytes_packed)::bigint AS bytes_packed
FROM artifact WHERE run_id = ANY($1::uuid[])
GROUP BY run_id, kind ORDER BY run_id, kind DESC;

-- count_download: count a download of each of these files
UPDATE artifact SET downloads = downloads + 1, downloaded_at = $2 WHERE artifact_id = ANY($1::uuid[]);

-- load_contexts: the states of runs, their stored estimators, and the latest successful runs of their jobs
SELECT wanted.run_id, wanted.job_id, run.state, stored.token, stored.seq, stored.state AS estimator_state, (
    SELECT coalesce(jsonb_agg(earlier), '[]') FROM (
        SELECT earlier.run_id, extract(epoch FROM earlier.started_at)::float8 AS started_at,
            extract(epoch FROM earlier.ended_at - earlier.attempt_started_at)::float8 AS duration,
            extract(epoch FROM earlier.started_at - earlier.queued_at)::float8 AS waited,
            earlier.rows AS units_total, earlier.bytes_raw AS bytes, earlier.state AS status,
            score.curve, score.coverage
        FROM run AS earlier LEFT JOIN estimate_score AS score USING (run_id)
        WHERE earlier.job_id = wanted.job_id AND earlier.removed_at IS NULL AND earlier.state = 'succeeded'
            AND earlier.started_at IS NOT NULL AND earlier.run_id <> wanted.run_id
        ORDER BY earlier.created_at DESC
        LIMIT 20
    ) AS earlier
) AS earlier_runs
FROM unnest($1::uuid[], $2::uuid[]) AS wanted (run_id, job_id)
LEFT JOIN run USING (run_id)
LEFT JOIN estimate_state AS stored USING (run_id);

-- find_ended_runs: those of these runs that have ended
SELECT run_id FROM run
WHERE run_id = ANY($1::uuid[]) AND state IN ('succeeded', 'failed', 'cancelled', 'skipped');

-- save_states: store the states of running estimators; an older one never replaces a newer one
INSERT INTO estimate_state (run_id, job_id, token, seq, state, stored_at)
SELECT run_id, job_id, token, seq, state::jsonb, :stored_at
FROM unnest(:run_id::uuid[], :job_id::uuid[], :token::bigint[], :seq::bigint[], :state::text[])
    AS new (run_id, job_id, token, seq, state)
ON CONFLICT (run_id) DO UPDATE SET
    token = EXCLUDED.token, seq = EXCLUDED.seq, state = EXCLUDED.state, stored_at = EXCLUDED.stored_at
WHERE (estimate_state.token, estimate_state.seq) <= (EXCLUDED.token, EXCLUDED.seq);

-- delete_states: delete the states of estimators whose runs have ended
DELETE FROM estimate_state WHERE run_id = ANY($1::uuid[]);

-- save_score: store how a run's time was spent and how good its estimates were, and delete its estimator's state
WITH ended AS (DELETE FROM estimate_state WHERE run_id = :run_id)
INSERT INTO estimate_score (
    run_id, job_id, tenant_id, curve, estimates, error_ratio, coverage, shown, points, scored_at
)
VALUES (
    :run_id, :job_id, :tenant_id, :curve, :estimates, :error_ratio, :coverage, :shown, :points, :scored_at
)
ON CONFLICT (run_id) DO NOTHING;

-- drop_entries: rebuild; delete the timelines that are rebuilt from their start (others are only added to)
DELETE FROM history.run_event AS old USING pg_temp.run AS new
WHERE old.run_id = new.run_id AND new.fate IS NOT NULL;

-- add_entries: rebuild; the temporary tables are copies of the permanent ones, so the columns match in order as well
INSERT INTO history.run_event SELECT * FROM pg_temp.run_event ON CONFLICT DO NOTHING;

-- drop_parts: rebuild; delete the parts of runs whose events are still on the topic
DELETE FROM history.part AS old USING pg_temp.run AS new
WHERE old.run_id = new.run_id AND new.life_state IS NOT NULL;

-- add_parts: rebuild; add the rebuilt parts
INSERT INTO history.part SELECT * FROM pg_temp.part ON CONFLICT DO NOTHING;

-- keep_downloads: rebuild; keep the download counters, which no topic has
UPDATE pg_temp.artifact AS new SET downloads = old.downloads, downloaded_at = old.downloaded_at
FROM history.artifact AS old WHERE old.artifact_id = new.artifact_id AND old.downloads > 0;

-- drop_artifacts: rebuild; delete the files of runs whose events are still on the topic
DELETE FROM history.artifact AS old USING pg_temp.run AS new
WHERE old.run_id = new.run_id AND new.life_state IS NOT NULL;

-- add_artifacts: rebuild; add the rebuilt files
INSERT INTO history.artifact SELECT * FROM pg_temp.artifact ON CONFLICT DO NOTHING;

-- drop_delivery_entries: rebuild; delete the timelines of deliveries that are rebuilt from their creation
DELETE FROM history.delivery_event AS old USING pg_temp.delivery_event AS new
WHERE old.delivery_id = new.delivery_id AND new.kind = 'created';

-- add_delivery_entries: rebuild; add the rebuilt timelines of deliveries
INSERT INTO history.delivery_event SELECT * FROM pg_temp.delivery_event ON CONFLICT DO NOTHING;

-- drop_delivered_files: rebuild; delete the files of deliveries that are rebuilt from their creation
DELETE FROM history.delivered_file AS old USING pg_temp.delivery_event AS new
WHERE old.delivery_id = new.delivery_id AND new.kind = 'created';

-- add_delivered_files: rebuild; add the rebuilt files of deliveries
INSERT INTO history.delivered_file SELECT * FROM pg_temp.delivered_file ON CONFLICT DO NOTHING;

-- drop_deliveries: rebuild; delete the deliveries that are rebuilt from their creation
DELETE FROM history.delivery AS old USING pg_temp.delivery_event AS new
WHERE old.delivery_id = new.delivery_id AND new.kind = 'created';

-- add_deliveries: rebuild; add the rebuilt deliveries; those whose creation is older than the topic stay as they were
INSERT INTO history.delivery SELECT * FROM pg_temp.delivery ON CONFLICT DO NOTHING;

-- keep_fates: rebuild; keep fates older than the triggers topic, with their settings, and draw new versions
UPDATE pg_temp.run AS new SET version = nextval('run_version'),
    fate = coalesce(new.fate, old.fate), fate_at = coalesce(new.fate_at, old.fate_at),
    fate_reason = coalesce(new.fate_reason, old.fate_reason), settings = coalesce(new.settings, old.settings),
    title = coalesce(new.title, old.title), source = coalesce(new.source, old.source),
    type = coalesce(new.type, old.type)
FROM history.run AS old WHERE old.run_id = new.run_id;

-- drop_runs: rebuild; delete the runs that are rebuilt
DELETE FROM history.run AS old USING pg_temp.run AS new WHERE old.run_id = new.run_id;

-- add_runs: rebuild; add the rebuilt runs
INSERT INTO history.run SELECT * FROM pg_temp.run;

-- artifacts_of: files of a tenant by id
SELECT {columns} FROM artifact WHERE tenant_id = $1 AND artifact_id = ANY($2::uuid[]) ORDER BY name, artifact_id;

-- claim_expired: lock some expired files for removal, except those that another process has locked
SELECT artifact.artifact_id, artifact.run_id, artifact.job_id, artifact.tenant_id, artifact.object
FROM artifact LEFT JOIN retention USING (tenant_id)
WHERE artifact.state = 'available' AND artifact.created_at <= $1::timestamptz
    AND artifact.created_at <= $2::timestamptz - least($3::interval, make_interval(days => coalesce(retention.days, 30)))
    AND (artifact.removal_retry_at IS NULL OR artifact.removal_retry_at <= $2::timestamptz)
ORDER BY artifact.created_at LIMIT $4
FOR UPDATE OF artifact SKIP LOCKED;

-- claim_delivered: lock some files that are kept no longer because they are delivered, except those locked by others
SELECT artifact_id, run_id, job_id, tenant_id, object FROM artifact
WHERE state = 'available' AND delivered_until <= $1::timestamptz
    AND (removal_retry_at IS NULL OR removal_retry_at <= $1::timestamptz)
ORDER BY delivered_until LIMIT $2
FOR UPDATE SKIP LOCKED;

-- count_overdue: the number of files that are still available although they had expired by an instant
SELECT count(*)
FROM artifact LEFT JOIN retention USING (tenant_id)
WHERE artifact.state = 'available'
    AND artifact.created_at <= $1::timestamptz - least($2::interval, make_interval(days => coalesce(retention.days, 30)));

-- save_removal_faults: note files that the store has refused to delete; each is tried again after 5 minutes, and after
-- twice as long each time, a day at most
UPDATE artifact SET removal_fault = refused.fault, removal_failures = removal_failures + 1,
    removal_retry_at = $3::timestamptz + least(interval '1 day', interval '5 minutes' * 2 ^ least(removal_failures, 10))
FROM unnest($1::uuid[], $2::text[]) AS refused (artifact_id, fault)
WHERE artifact.artifact_id = refused.artifact_id;

-- count_refused: the number of files that the store has refused to delete
SELECT count(*) FROM artifact WHERE removal_retry_at IS NOT NULL;

-- claim_artifacts: lock those of a tenant's files that are still available, for removal
SELECT artifact_id, run_id, job_id, tenant_id, name, object FROM artifact
WHERE tenant_id = $1 AND artifact_id = ANY($2::uuid[]) AND state = 'available'
ORDER BY artifact_id
FOR UPDATE;

-- retention_of: a tenant's retention in days
SELECT days FROM retention WHERE tenant_id = $1;

-- shortest_retention: the shortest retention of any tenant, in days
SELECT min(days) FROM retention;

-- set_retention: set how many days a tenant's files are kept
INSERT INTO retention (tenant_id, days) VALUES ($1, $2) ON CONFLICT (tenant_id) DO UPDATE SET days = EXCLUDED.days;

-- add_link: add a link
INSERT INTO link (secret_hash, tenant_id, artifact_id, user_id, name, expires_at)
VALUES (:secret_hash, :tenant_id, :artifact_id, :user_id, :name, :expires_at);

-- find_link: the file and the creator of a link that has not expired
SELECT tenant_id, artifact_id, user_id, name FROM link WHERE secret_hash = $1 AND expires_at > $2;

-- drop_links: delete expired links
DELETE FROM link WHERE expires_at <= $1;

-- list_scores: the scores of the estimates of a job's runs, newest first
SELECT run_id, job_id, scored_at, estimates, error_ratio, coverage FROM estimate_score
WHERE tenant_id = $1 AND job_id = $2 AND error_ratio IS NOT NULL
ORDER BY scored_at DESC LIMIT 100;

-- course_of: the progress of a run over time and its displayed estimates, from its score or its running estimator
SELECT shown, points, error_ratio, coverage FROM estimate_score WHERE run_id = $1
UNION ALL
SELECT (
        SELECT coalesce(jsonb_agg(
            jsonb_build_array(estimate -> 3, estimate -> 0, estimate -> 1, estimate -> 2) ORDER BY ordinal
        ), '[]')
        FROM jsonb_array_elements(state -> 'following' -> 'shown') WITH ORDINALITY AS shown (estimate, ordinal)
    ),
    jsonb_build_array(jsonb_build_array(trajectory -> 'began', 0)) || (trajectory -> 'points'), NULL, NULL
FROM estimate_state, jsonb_extract_path(state, 'following', 'estimator', 'past') AS trajectory
WHERE run_id = $1
LIMIT 1;

-- job_deleted: whether a job is known to be deleted
SELECT deleted FROM job WHERE job_id = $1;

-- count_runs: the numbers of a tenant's latest 100,000 runs by state, type and source
SELECT state, type, source, count(*) AS amount FROM (
    SELECT state, type, source FROM run
    WHERE tenant_id = $1 AND removed_at IS NULL{conditions}
    ORDER BY created_at DESC LIMIT 100000
) AS latest
GROUP BY state, type, source;

-- count_artifacts: the numbers of a tenant's latest 100,000 files by state and type
SELECT state, type, count(*) AS amount FROM (
    SELECT state, type FROM artifact WHERE tenant_id = $1{conditions} ORDER BY created_at DESC LIMIT 100000
) AS latest
GROUP BY state, type;
