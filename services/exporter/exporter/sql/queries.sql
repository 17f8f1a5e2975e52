-- insert_job: create the row of each job, which is the lock for what follows
INSERT INTO job (job_id) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING;

-- lock_job: lock a job and return what the admission of its trigger depends on
SELECT
    deleted,
    (SELECT count(*) FROM run WHERE run.job_id = job.job_id AND state = 'queued') AS queued,
    (SELECT count(*) FROM run WHERE run.job_id = job.job_id AND state = 'running') AS running
FROM job
WHERE job_id = $1
FOR UPDATE;

-- insert_run: admit a run; returns nothing when it was admitted before
INSERT INTO run (
    run_id, job_id, tenant_id, slot, settings, state, queued_at, not_before, cancel_reason, ended_at, cause
)
VALUES (
    :run_id, :job_id, :tenant_id, :slot, :settings::text::jsonb, :state, :now, :now, :cancel_reason,
    CASE WHEN :state = 'queued' THEN NULL ELSE :now::timestamptz END, :cause
)
ON CONFLICT DO NOTHING
RETURNING run_id;

-- take_early_cancel: remove and return the cancel command that arrived before its run
DELETE FROM early_cancel WHERE run_id = $1 RETURNING requested_by;

-- insert_early_cancel: keep a cancel command until its run is admitted
INSERT INTO early_cancel (run_id, requested_by) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- run_exists: whether a run was admitted, in any state
SELECT true FROM run WHERE run_id = $1;

-- request_cancel: request that open runs be cancelled; the first reason stays
UPDATE run
SET cancel_reason = $2, cancel_by = $3
WHERE run_id = ANY ($1::uuid[]) AND state IN ('queued', 'running') AND cancel_reason IS NULL;

-- delete_job: mark a job as deleted; returns its open runs
WITH deleted_job AS (
    INSERT INTO job (job_id, deleted) VALUES ($1, true)
    ON CONFLICT (job_id) DO UPDATE SET deleted = true
    RETURNING job_id
)
SELECT run_id FROM run JOIN deleted_job USING (job_id) WHERE state IN ('queued', 'running');

-- save_certificate: save a certificate unless a newer version is already saved
INSERT INTO certificate (certificate_id, tenant_id, version, active, pem)
VALUES (:certificate_id, :tenant_id, :version, :active, :pem)
ON CONFLICT (certificate_id) DO UPDATE
SET version = excluded.version, active = excluded.active, pem = excluded.pem
WHERE certificate.version < excluded.version;

-- save_source_numbers: save tenants' numbers, except where the tenant has one or the number has a tenant
INSERT INTO source_number (tenant_id, source_tenant)
SELECT tenant_id, source_tenant FROM unnest($1::uuid[], $2::integer[]) AS published (tenant_id, source_tenant)
ON CONFLICT DO NOTHING;

-- find_source_number_clash: a tenant and number that are not those on record
SELECT tenant_id, source_tenant FROM unnest($1::uuid[], $2::integer[]) AS published (tenant_id, source_tenant)
EXCEPT SELECT tenant_id, source_tenant FROM source_number
LIMIT 1;

-- source_number: the number of a tenant's rows in the source
SELECT source_tenant FROM source_number WHERE tenant_id = $1;

-- forget_certificate: remove a certificate that was deleted long ago
DELETE FROM certificate WHERE certificate_id = $1;

-- list_certificates: the certificates to encrypt for: the named ones, or else all of the tenant; active ones only
SELECT pem
FROM certificate
WHERE tenant_id = $1 AND active AND ($2::uuid[] IS NULL OR certificate_id = ANY ($2))
ORDER BY certificate_id;

-- cancel_unclaimed: cancel runs on request that are queued, or whose lease has expired
UPDATE run
SET state = 'cancelled', ended_at = clock_timestamp(), lease_until = NULL, lease_expired = false, snapshot = NULL, seq = seq + 1,
    sweep_at = clock_timestamp() + interval '1 minute'
WHERE run_id IN (
    SELECT run_id FROM run
    WHERE cancel_reason IS NOT NULL AND (state = 'queued' OR lease_expired)
    FOR UPDATE SKIP LOCKED
)
RETURNING run_id, job_id, tenant_id, token, seq, cancel_reason, cancel_by, ended_at;

-- lock_claims: serialize claims, so that a tenant's limit is exact
SELECT pg_advisory_xact_lock(hashtext('exporter.claim'));

-- claim: claim the next run, of the tenant with the fewest running, then the oldest; a takeover is not an attempt
WITH next AS (
    SELECT run_id, state AS previous_state
    FROM claimable_run
    WHERE :tenant_limit::integer IS NULL OR tenant_running < :tenant_limit
    ORDER BY tenant_running, queued_at, run_id
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
UPDATE run
SET state = 'running',
    token = token + 1,
    seq = 0,
    attempt = attempt + CASE next.previous_state WHEN 'queued' THEN 1 ELSE 0 END,
    exporter = :exporter,
    lease_until = clock_timestamp() + :lease::interval,
    lease_length = :lease,
    lease_expired = false
FROM next
WHERE run.run_id = next.run_id
RETURNING
    run.run_id, job_id, tenant_id, slot, cause, settings::text AS settings, attempt, token, window_start, window_end,
    window_note, window_position, previous_state,
    (SELECT complete_through FROM job WHERE job.job_id = run.job_id) AS complete_through;

-- has_claimable_runs: whether an exporter with a free worker place would claim a run; $1 limits a tenant's running runs
SELECT EXISTS (SELECT FROM claimable_run WHERE $1::integer IS NULL OR tenant_running < $1);

-- seconds_to_retry: how long until a queued run may be tried again; NULL when there is none
SELECT extract(epoch FROM min(not_before) - clock_timestamp())::float8
FROM run
WHERE state = 'queued' AND not_before > clock_timestamp();

-- list_leases: the leases on runs and on helpers' slices that are not known to have expired
SELECT run_id, NULL::text AS kind, NULL::integer AS number, token, heartbeat, lease_until AS until,
    lease_length AS length
FROM run
WHERE state = 'running' AND NOT lease_expired
UNION ALL
SELECT run_id, kind, number, token, heartbeat, lease_until, lease_length
FROM slice
WHERE state = 'running' AND lease_until IS NOT NULL AND NOT lease_expired;

-- expire_run: mark the lease on a run as expired, unless it was renewed, claimed or ended since it was listed
UPDATE run
SET lease_expired = true
WHERE run_id = $1 AND token = $2 AND heartbeat = $3 AND lease_until = $4 AND state = 'running';

-- expire_slice: mark the lease on a slice as expired, unless it was renewed, claimed or released since it was listed
UPDATE slice
SET lease_expired = true
WHERE run_id = $1 AND token = $2 AND heartbeat = $3 AND lease_until = $4 AND kind = $5 AND number = $6
  AND state = 'running';

-- renew: extend a run's lease; returns nothing when the claim is lost, or else whether the run is to be cancelled
UPDATE run
SET heartbeat = heartbeat + 1, lease_until = clock_timestamp() + $3::interval, lease_length = $3, lease_expired = false
WHERE run_id = $1 AND token = $2 AND state = 'running'
RETURNING cancel_reason IS NOT NULL AS cancelled;

-- lock_claim: lock a claimed run and number its next event; returns nothing when the claim is lost
UPDATE run
SET seq = seq + 1
WHERE run_id = $1 AND token = $2 AND state = 'running'
RETURNING seq, clock_timestamp() AS at, cancel_reason, cancel_by;

-- begin_attempt: save what later attempts need; no helper can join until the new coordinator has a snapshot
UPDATE run
SET window_start = :window_start, window_end = :window_end, window_note = :window_note,
    window_position = :window_position, certificates = :certificates, snapshot = NULL
WHERE run_id = :run_id;

-- has_same_recipients: whether a run's parts were encrypted for exactly these certificates
SELECT certificates IS NOT DISTINCT FROM $2::text[] FROM run WHERE run_id = $1;

-- delete_parts: forget a run's parts, which can no longer be used
DELETE FROM part WHERE run_id = $1;

-- delete_slices: forget a run's slices
DELETE FROM slice WHERE run_id = $1;

-- share_snapshot: let helpers join the coordinator's snapshot
UPDATE run SET snapshot = $2 WHERE run_id = $1;

-- insert_slices: save a run's planned slices
INSERT INTO slice (run_id, kind, number, key_first, key_before, rows_expected, snapshot)
SELECT :run_id::uuid, kind, number, key_first, key_before, rows_expected, :snapshot::text
FROM unnest(
    :kinds::text[], :numbers::integer[], :first_keys::text[], :before_keys::text[], :rows_expected::bigint[]
) AS planned (kind, number, key_first, key_before, rows_expected);

-- claim_own_slice: claim the coordinator's next slice; returns nothing when there is none, or the run's claim is lost
WITH next AS (
    SELECT slice.run_id, slice.kind, slice.number, slice.snapshot, slice.state AS previous_state
    FROM slice
    JOIN run USING (run_id)
    WHERE slice.run_id = :run_id
      AND run.token = :token
      AND run.state = 'running'
      AND (slice.state = 'waiting' OR slice.lease_expired)
    ORDER BY slice.kind, slice.number
    LIMIT 1
    FOR UPDATE OF slice SKIP LOCKED
)
UPDATE slice
SET state = 'running', token = token + 1, exporter = :exporter, lease_until = NULL, lease_expired = false,
    snapshot = :snapshot
FROM next
WHERE slice.run_id = next.run_id AND slice.kind = next.kind AND slice.number = next.number
RETURNING
    slice.run_id, slice.kind, slice.number, slice.token, slice.key_first, slice.key_before, slice.rows_expected,
    slice.snapshot, next.snapshot AS counted_in, next.previous_state;

-- claim_slice: claim a slice as a helper, of one shared run or of any: the one with the fewest helpers, then the oldest
WITH next AS (
    SELECT slice.run_id, slice.kind, slice.number, slice.snapshot, slice.state AS previous_state, run.snapshot AS joined
    FROM slice
    JOIN run USING (run_id)
    WHERE (slice.state = 'waiting' OR slice.lease_expired)
      AND run.state = 'running'
      AND NOT run.lease_expired
      AND run.cancel_reason IS NULL
      AND run.snapshot IS NOT NULL
      AND (:run_id::uuid IS NULL OR slice.run_id = :run_id)
    ORDER BY
        (SELECT count(*) FROM slice AS busy WHERE busy.run_id = slice.run_id AND busy.state = 'running'),
        run.queued_at,
        slice.run_id,
        slice.kind,
        slice.number
    LIMIT 1
    FOR UPDATE OF slice SKIP LOCKED
)
UPDATE slice
SET state = 'running', token = token + 1, exporter = :exporter, lease_until = clock_timestamp() + :lease::interval,
    lease_length = :lease, lease_expired = false, snapshot = next.joined
FROM next
WHERE slice.run_id = next.run_id AND slice.kind = next.kind AND slice.number = next.number
RETURNING
    slice.run_id, slice.kind, slice.number, slice.token, slice.key_first, slice.key_before, slice.rows_expected,
    slice.snapshot, next.snapshot AS counted_in, next.previous_state;

-- sum_finished_parts: the finished parts of a slice, and the key after which it continues
SELECT
    count(*) AS parts,
    coalesce(sum(rows), 0)::bigint AS rows,
    coalesce(sum(bytes_raw), 0)::bigint AS bytes_raw,
    (array_agg(last_key ORDER BY number DESC))[1] AS last_key
FROM part
WHERE run_id = $1 AND kind = $2 AND slice = $3;

-- read_shared_run: what a helper needs to know about a run
SELECT run_id, job_id, tenant_id, slot, settings::text AS settings, window_start, window_end, certificates
FROM run
WHERE run_id = $1;

-- renew_slice: extend a helper's lease; returns nothing when it is lost, or else whether the run is to be cancelled
UPDATE slice
SET heartbeat = slice.heartbeat + 1, lease_until = clock_timestamp() + :lease::interval, lease_length = :lease,
    lease_expired = false
FROM run
WHERE run.run_id = slice.run_id
  AND slice.run_id = :run_id AND slice.kind = :kind AND slice.number = :number AND slice.token = :token
  AND slice.state = 'running' AND run.state = 'running'
RETURNING run.cancel_reason IS NOT NULL AS cancelled;

-- lock_run_of_slice: lock a slice's run and number its next event; a coordinator's token ($2) must be the run's
UPDATE run
SET seq = seq + 1
WHERE run_id = $1 AND state = 'running' AND ($2::bigint IS NULL OR token = $2)
RETURNING job_id, tenant_id, token, seq, clock_timestamp() AS at;

-- lock_slice: lock a claimed slice, which its claim may just have finished; returns nothing when the claim is lost
SELECT true FROM slice
WHERE run_id = $1 AND kind = $2 AND number = $3 AND token = $4 AND state <> 'waiting'
FOR UPDATE;

-- save_slice_progress: how far a slice has come, under its claim
UPDATE slice
SET rows_done = :rows, bytes_done = :bytes_raw
WHERE run_id = :run_id AND kind = :kind AND number = :number AND token = :token AND state = 'running';

-- finish_slice: mark a slice as done, under a claim that `lock_slice` has checked
UPDATE slice
SET state = 'done', lease_until = NULL, lease_expired = false, rows_expected = $4, rows_done = $4,
    bytes_done = (
        SELECT coalesce(sum(bytes_raw), 0) FROM part
        WHERE part.run_id = slice.run_id AND part.kind = slice.kind AND part.slice = slice.number
    )
WHERE run_id = $1 AND kind = $2 AND number = $3;

-- release_slice: release a slice, under its claim
UPDATE slice
SET state = 'waiting', lease_until = NULL, lease_expired = false, exporter = NULL
WHERE run_id = $1 AND kind = $2 AND number = $3 AND token = $4 AND state = 'running';

-- release_own_slices: release the slices that an earlier coordinator worked on; helpers keep theirs
UPDATE slice
SET state = 'waiting', exporter = NULL
WHERE run_id = $1 AND state = 'running' AND lease_until IS NULL;

-- release_slices: release all slices of a run that is handed back
UPDATE slice
SET state = 'waiting', lease_until = NULL, lease_expired = false, exporter = NULL
WHERE run_id = $1 AND state = 'running';

-- list_slices: how far a run's slices have come, in order
SELECT kind, number, state, token, rows_expected, rows_done, bytes_done
FROM slice
WHERE run_id = $1
ORDER BY kind, number;

-- insert_part: save a finished part; returns nothing when it was saved before
INSERT INTO part (run_id, kind, slice, number, token, object, rows, bytes_raw, bytes_packed, sha256, last_key, snapshot)
VALUES (
    :run_id, :kind, :slice, :number, :token, :object, :rows, :bytes_raw, :bytes_packed, :sha256, :last_key, :snapshot
)
ON CONFLICT DO NOTHING
RETURNING true;

-- count_parts: how many parts of a kind are finished
SELECT count(*) FROM part WHERE run_id = $1 AND kind = $2;

-- list_parts: a run's finished parts in the order of their records
SELECT kind, slice, number, token, object, rows, bytes_raw, bytes_packed, sha256, last_key, snapshot
FROM part
WHERE run_id = $1
ORDER BY kind, slice, number;

-- end_run: end a run, under a claim that `lock_claim` has checked
UPDATE run
SET state = $2, ended_at = clock_timestamp(), lease_until = NULL, lease_expired = false, snapshot = NULL,
    sweep_at = clock_timestamp() + interval '1 minute'
WHERE run_id = $1;

-- requeue: hand a run back, under a claim that `lock_claim` has checked; $3 is added to its attempts
UPDATE run
SET state = 'queued', lease_until = NULL, lease_expired = false, exporter = NULL, snapshot = NULL,
    not_before = clock_timestamp() + $2::interval, retry_delay = $2, attempt = attempt + $3
WHERE run_id = $1
RETURNING not_before;

-- save_watermark: the instant up to which the job's exported data is complete; it never moves backwards
UPDATE job SET complete_through = greatest(complete_through, $2) WHERE job_id = $1;

-- measure_queue: the number of runs waiting for an exporter, and the age of the oldest in seconds
SELECT
    count(*) AS waiting,
    greatest(coalesce(extract(epoch FROM clock_timestamp() - min(greatest(queued_at, not_before))), 0), 0)::float8 AS oldest
FROM run
WHERE state = 'queued' AND clock_timestamp() NOT BETWEEN not_before - retry_delay AND not_before;

-- read_run_state: a run's current state and fencing token
SELECT state, token FROM run WHERE run_id = $1;

-- list_part_objects: the objects of a run's finished parts
SELECT object FROM part WHERE run_id = $1;

-- take_due_sweeps: return the runs to sweep now; the next sweep is later each time, until a day after the run's end
UPDATE run
SET sweep_at = CASE
    WHEN clock_timestamp() < ended_at + interval '1 day' THEN clock_timestamp() + 3 * (clock_timestamp() - ended_at)
END
WHERE run_id IN (
    SELECT run_id FROM run WHERE sweep_at <= clock_timestamp() ORDER BY sweep_at LIMIT $1 FOR UPDATE SKIP LOCKED
)
RETURNING run_id;

-- schedule_sweep: have an ended run swept after a delay at the latest
UPDATE run
SET sweep_at = least(sweep_at, clock_timestamp() + $2::interval)
WHERE run_id = $1 AND ended_at IS NOT NULL;
