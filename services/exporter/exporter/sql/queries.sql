-- insert_job: make a job's row, which is the lock for what follows
INSERT INTO job (job_id) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING;

-- lock_job: lock a job and tell what its trigger's admission depends on
SELECT
    deleted,
    (SELECT count(*) FROM run WHERE run.job_id = job.job_id AND state = 'queued') AS queued,
    (SELECT count(*) FROM run WHERE run.job_id = job.job_id AND state = 'running') AS running
FROM job
WHERE job_id = $1
FOR UPDATE;

-- insert_run: admit a run; returns nothing when it is known already
INSERT INTO run (run_id, job_id, tenant_id, slot, settings, state, queued_at, not_before, cancel_reason, ended_at, cause)
SELECT $1, $2, $3, $4, $5::text::jsonb, $6, $7, $7, $8, CASE WHEN $6 = 'queued' THEN NULL ELSE $7::timestamptz END, $9
ON CONFLICT DO NOTHING
RETURNING run_id;

-- take_early_cancel: the cancel command that came before its run
DELETE FROM early_cancel WHERE run_id = $1 RETURNING requested_by;

-- keep_early_cancel: remember a cancel command whose run is not known yet
INSERT INTO early_cancel (run_id, requested_by) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- run_exists: whether a run is known, whatever became of it
SELECT true FROM run WHERE run_id = $1;

-- ask_cancel: ask for open runs to be cancelled; the first reason stays
UPDATE run
SET cancel_reason = $2, cancel_by = $3
WHERE run_id = ANY ($1::uuid[]) AND state IN ('queued', 'running') AND cancel_reason IS NULL;

-- delete_job: mark a job as gone; returns its open runs
WITH gone AS (
    INSERT INTO job (job_id, deleted) VALUES ($1, true)
    ON CONFLICT (job_id) DO UPDATE SET deleted = true
    RETURNING job_id
)
SELECT run_id FROM run JOIN gone USING (job_id) WHERE state IN ('queued', 'running');

-- save_certificate: write a certificate unless a newer version is known
INSERT INTO certificate (certificate_id, tenant_id, version, active, pem)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (certificate_id) DO UPDATE
SET version = excluded.version, active = excluded.active, pem = excluded.pem
WHERE certificate.version < excluded.version;

-- certificates: the certificates that a run encrypts for: those named, else the tenant's active ones
SELECT pem
FROM certificate
WHERE tenant_id = $1 AND active AND ($2::uuid[] IS NULL OR certificate_id = ANY ($2))
ORDER BY certificate_id;

-- end_unclaimed: end queued runs that are to be cancelled, and running ones whose exporter is gone
UPDATE run
SET state = 'cancelled', ended_at = clock_timestamp(), lease_until = NULL, snapshot = NULL, seq = seq + 1,
    sweep_at = clock_timestamp() + interval '1 minute'
WHERE run_id IN (
    SELECT run_id FROM run
    WHERE cancel_reason IS NOT NULL
      AND (state = 'queued' OR (state = 'running' AND lease_until < clock_timestamp()))
    FOR UPDATE SKIP LOCKED
)
RETURNING run_id, job_id, tenant_id, token, seq, cancel_reason, cancel_by, ended_at;

-- lock_claims: let claims come one after another, so that a tenant's limit is exact
SELECT pg_advisory_xact_lock(hashtext('exporter.claim'));

-- claim: take the run that is next in fairness: the tenant with the fewest running, then the oldest; one run of a job at a time; $3 limits a tenant's running; a takeover is no attempt of its own
WITH next AS (
    SELECT run_id, state AS was
    FROM run
    CROSS JOIN LATERAL (
        SELECT count(*) AS running FROM run AS other
        WHERE other.tenant_id = run.tenant_id AND other.state = 'running' AND other.lease_until >= clock_timestamp()
    ) AS busy
    WHERE cancel_reason IS NULL
      AND (
          (state = 'queued' AND not_before <= clock_timestamp())
          OR (state = 'running' AND lease_until < clock_timestamp())
      )
      AND ($3::integer IS NULL OR busy.running < $3)
      AND NOT EXISTS (
          SELECT FROM run AS other
          WHERE other.job_id = run.job_id AND other.run_id <> run.run_id
            AND (other.state = 'running' OR (other.state = 'queued' AND other.queued_at < run.queued_at))
      )
    ORDER BY busy.running, queued_at, run_id
    LIMIT 1
    FOR UPDATE OF run SKIP LOCKED
)
UPDATE run
SET state = 'running',
    token = token + 1,
    seq = 0,
    attempt = attempt + CASE next.was WHEN 'queued' THEN 1 ELSE 0 END,
    exporter = $1,
    lease_until = clock_timestamp() + $2::interval
FROM next
WHERE run.run_id = next.run_id
RETURNING
    run.run_id, job_id, tenant_id, slot, cause, settings::text AS settings, attempt, token, window_start, window_end, was,
    (SELECT complete_through FROM job WHERE job.job_id = run.job_id) AS complete_through;

-- runs_wait: whether there is a run that an exporter with a free slot would take; $1 limits a tenant's running
SELECT EXISTS (
    SELECT FROM run
    WHERE cancel_reason IS NULL
      AND (
          (state = 'queued' AND not_before <= clock_timestamp())
          OR (state = 'running' AND lease_until < clock_timestamp())
      )
      AND ($1::integer IS NULL OR $1 > (
          SELECT count(*) FROM run AS other
          WHERE other.tenant_id = run.tenant_id AND other.state = 'running' AND other.lease_until >= clock_timestamp()
      ))
      AND NOT EXISTS (
          SELECT FROM run AS other
          WHERE other.job_id = run.job_id AND other.run_id <> run.run_id
            AND (other.state = 'running' OR (other.state = 'queued' AND other.queued_at < run.queued_at))
      )
);

-- seconds_to_work: how long until a queued run may be tried or a lease runs out; NULL when nothing will by itself
SELECT extract(epoch FROM min(at) - clock_timestamp())::float8
FROM run
CROSS JOIN LATERAL (SELECT CASE state WHEN 'queued' THEN not_before ELSE lease_until END AS at) AS next
WHERE state IN ('queued', 'running') AND (exporter IS DISTINCT FROM $1 OR state = 'queued') AND at > clock_timestamp();

-- renew: extend a lease; returns nothing when the claim is lost, else whether the run is to be cancelled
UPDATE run
SET lease_until = clock_timestamp() + $3::interval
WHERE run_id = $1 AND token = $2 AND state = 'running'
RETURNING cancel_reason IS NOT NULL AS cancelled;

-- hold: lock a run under its claim and take the next event number; returns nothing when the claim is lost
UPDATE run
SET seq = seq + 1
WHERE run_id = $1 AND token = $2 AND state = 'running'
RETURNING seq, clock_timestamp() AS at, cancel_reason, cancel_by;

-- begin: keep what every later attempt goes by; until the new coordinator has a snapshot, nobody can join one
UPDATE run SET window_start = $2, window_end = $3, certificates = $4, snapshot = NULL WHERE run_id = $1;

-- same_recipients: whether a run's parts were made for the recipients with these certificates
SELECT certificates IS NOT DISTINCT FROM $2::text[] FROM run WHERE run_id = $1;

-- drop_parts: forget a run's parts, which cannot be gone on from
DELETE FROM part WHERE run_id = $1;

-- drop_slices: forget how a run was sliced
DELETE FROM slice WHERE run_id = $1;

-- share: let others join the coordinator's snapshot
UPDATE run SET snapshot = $2 WHERE run_id = $1;

-- insert_slice: plan a slice
INSERT INTO slice (run_id, kind, number, key_first, key_before, rows_expected, snapshot)
VALUES ($1, $2, $3, $4, $5, $6, $7);

-- claim_own_slice: take the coordinator's next slice; returns nothing when there is none or the run's claim is lost
WITH next AS (
    SELECT slice.run_id, slice.kind, slice.number, slice.snapshot, slice.state AS was
    FROM slice
    JOIN run USING (run_id)
    WHERE slice.run_id = $1
      AND run.token = $2
      AND run.state = 'running'
      AND (slice.state = 'waiting' OR (slice.state = 'running' AND slice.lease_until < clock_timestamp()))
    ORDER BY slice.kind, slice.number
    LIMIT 1
    FOR UPDATE OF slice SKIP LOCKED
)
UPDATE slice
SET state = 'running', token = token + 1, exporter = $3, lease_until = NULL, snapshot = $4
FROM next
WHERE slice.run_id = next.run_id AND slice.kind = next.kind AND slice.number = next.number
RETURNING
    slice.run_id, slice.kind, slice.number, slice.token, slice.key_first, slice.key_before, slice.rows_expected,
    slice.snapshot, next.snapshot AS counted_in, next.was;

-- claim_slice: help with a shared run (that of $3, or any): the one with the fewest at it, then the oldest
WITH next AS (
    SELECT slice.run_id, slice.kind, slice.number, slice.snapshot, slice.state AS was, run.snapshot AS joined
    FROM slice
    JOIN run USING (run_id)
    WHERE (slice.state = 'waiting' OR (slice.state = 'running' AND slice.lease_until < clock_timestamp()))
      AND run.state = 'running'
      AND run.lease_until >= clock_timestamp()
      AND run.cancel_reason IS NULL
      AND run.snapshot IS NOT NULL
      AND ($3::uuid IS NULL OR slice.run_id = $3)
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
SET state = 'running', token = token + 1, exporter = $1, lease_until = clock_timestamp() + $2::interval,
    snapshot = next.joined
FROM next
WHERE slice.run_id = next.run_id AND slice.kind = next.kind AND slice.number = next.number
RETURNING
    slice.run_id, slice.kind, slice.number, slice.token, slice.key_first, slice.key_before, slice.rows_expected,
    slice.snapshot, next.snapshot AS counted_in, next.was;

-- kept: what is finished of a slice, and the key after which it goes on
SELECT
    count(*) AS parts,
    coalesce(sum(rows), 0)::bigint AS rows,
    coalesce(sum(bytes_raw), 0)::bigint AS bytes_raw,
    (array_agg(last_key ORDER BY number DESC))[1] AS last_key
FROM part
WHERE run_id = $1 AND kind = $2 AND slice = $3;

-- run_to_help: what a helper must know of a run
SELECT run_id, job_id, tenant_id, slot, settings::text AS settings, window_start, window_end, certificates
FROM run
WHERE run_id = $1;

-- renew_slice: extend a helper's lease; returns nothing when the slice is lost, else whether the run is to be cancelled
UPDATE slice
SET lease_until = clock_timestamp() + $5::interval
FROM run
WHERE run.run_id = slice.run_id
  AND slice.run_id = $1 AND slice.kind = $2 AND slice.number = $3 AND slice.token = $4
  AND slice.state = 'running' AND run.state = 'running'
RETURNING run.cancel_reason IS NOT NULL AS cancelled;

-- hold_run_of_slice: lock a slice's run and take its next event number; a coordinator's token ($2) must be the run's
UPDATE run
SET seq = seq + 1
WHERE run_id = $1 AND state = 'running' AND ($2::bigint IS NULL OR token = $2)
RETURNING job_id, tenant_id, token, seq, clock_timestamp() AS at, cancel_reason, cancel_by;

-- hold_slice: lock a slice under its claim (which may have finished it just now); returns nothing when the claim is lost
SELECT true FROM slice
WHERE run_id = $1 AND kind = $2 AND number = $3 AND token = $4 AND state <> 'waiting'
FOR UPDATE;

-- note_slice: how far a slice is, under its claim
UPDATE slice
SET rows_done = $5, bytes_done = $6
WHERE run_id = $1 AND kind = $2 AND number = $3 AND token = $4 AND state = 'running';

-- finish_slice: a slice is done, under its claim, which `hold_slice` has checked
UPDATE slice
SET state = 'done', lease_until = NULL, rows_expected = $4, rows_done = $4,
    bytes_done = (
        SELECT coalesce(sum(bytes_raw), 0) FROM part
        WHERE part.run_id = slice.run_id AND part.kind = slice.kind AND part.slice = slice.number
    )
WHERE run_id = $1 AND kind = $2 AND number = $3;

-- release_slice: give a slice back, under its claim
UPDATE slice
SET state = 'waiting', lease_until = NULL, exporter = NULL
WHERE run_id = $1 AND kind = $2 AND number = $3 AND token = $4 AND state = 'running';

-- release_own_slices: take over the slices that a coordinator worked on; those of helpers stay
UPDATE slice
SET state = 'waiting', exporter = NULL
WHERE run_id = $1 AND state = 'running' AND lease_until IS NULL;

-- release_slices: let go of all slices of a run that is given back
UPDATE slice
SET state = 'waiting', lease_until = NULL, exporter = NULL
WHERE run_id = $1 AND state = 'running';

-- slices: how far the slices of a run are, in order
SELECT kind, number, state, token, rows_expected, rows_done, bytes_done
FROM slice
WHERE run_id = $1
ORDER BY kind, number;

-- insert_part: note a finished part; returns nothing when that was done already
INSERT INTO part (run_id, kind, slice, number, token, object, rows, bytes_raw, bytes_packed, sha256, last_key, snapshot)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT DO NOTHING
RETURNING true;

-- count_parts: how many parts of a kind are finished
SELECT count(*) FROM part WHERE run_id = $1 AND kind = $2;

-- parts: a run's finished parts in order
SELECT kind, slice, number, token, object, rows, bytes_raw, bytes_packed, sha256, last_key, snapshot
FROM part
WHERE run_id = $1
ORDER BY kind, slice, number;

-- end: end a run under its claim, which `hold` has checked
UPDATE run
SET state = $2, ended_at = clock_timestamp(), lease_until = NULL, snapshot = NULL, sweep_at = clock_timestamp() + interval '1 minute'
WHERE run_id = $1;

-- requeue: give a run back, under its claim, which `hold` has checked; $3 is added to its attempts
UPDATE run
SET state = 'queued', lease_until = NULL, exporter = NULL, snapshot = NULL, not_before = clock_timestamp() + $2::interval, attempt = attempt + $3
WHERE run_id = $1
RETURNING not_before;

-- set_complete_through: how far the data of the job's last success is complete
UPDATE job SET complete_through = greatest(complete_through, $2) WHERE job_id = $1;

-- queue: runs that wait for an exporter, and the age of the oldest in seconds
SELECT
    count(*) AS waiting,
    coalesce(extract(epoch FROM clock_timestamp() - min(greatest(queued_at, not_before))), 0)::float8 AS oldest
FROM run
WHERE state = 'queued' AND not_before <= clock_timestamp();

-- standing: under which token a run stands now, and in which state
SELECT token, state FROM run WHERE run_id = $1;

-- part_objects: the objects that a run's noted parts rest on
SELECT object FROM part WHERE run_id = $1;

-- due_sweeps: take ended runs that are to be swept, and set when again: ever later, and no more a day after their end
UPDATE run
SET sweep_at = CASE
    WHEN clock_timestamp() < ended_at + interval '1 day' THEN clock_timestamp() + 3 * (clock_timestamp() - ended_at)
END
WHERE run_id IN (
    SELECT run_id FROM run WHERE sweep_at <= clock_timestamp() ORDER BY sweep_at LIMIT $1 FOR UPDATE SKIP LOCKED
)
RETURNING run_id;
