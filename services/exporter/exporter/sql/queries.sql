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
INSERT INTO run (run_id, job_id, tenant_id, slot, settings, state, queued_at, not_before, cancel_reason, ended_at)
SELECT $1, $2, $3, $4, $5::text::jsonb, $6, $7, $7, $8, CASE WHEN $6 = 'queued' THEN NULL ELSE $7::timestamptz END
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
SET state = 'cancelled', ended_at = clock_timestamp(), lease_until = NULL, seq = seq + 1
WHERE run_id IN (
    SELECT run_id FROM run
    WHERE cancel_reason IS NOT NULL
      AND (state = 'queued' OR (state = 'running' AND lease_until < clock_timestamp()))
    FOR UPDATE SKIP LOCKED
)
RETURNING run_id, job_id, tenant_id, token, seq, cancel_reason, cancel_by, ended_at;

-- claim: take the run that is next in fairness: the tenant with the fewest running, then the oldest; one run of a job at a time
UPDATE run
SET state = 'running',
    token = token + 1,
    seq = 0,
    attempt = attempt + 1,
    exporter = $1,
    lease_until = clock_timestamp() + $2::interval
WHERE run_id = (
    SELECT run_id
    FROM run
    WHERE cancel_reason IS NULL
      AND (
          (state = 'queued' AND not_before <= clock_timestamp())
          OR (state = 'running' AND lease_until < clock_timestamp())
      )
      AND NOT EXISTS (
          SELECT FROM run AS other
          WHERE other.job_id = run.job_id AND other.run_id <> run.run_id
            AND (other.state = 'running' OR (other.state = 'queued' AND other.queued_at < run.queued_at))
      )
    ORDER BY
        (SELECT count(*) FROM run AS busy
         WHERE busy.tenant_id = run.tenant_id AND busy.state = 'running' AND busy.lease_until >= clock_timestamp()),
        queued_at,
        run_id
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
RETURNING
    run_id, job_id, tenant_id, slot, settings::text AS settings, attempt, token, window_start, window_end,
    (SELECT complete_through FROM job WHERE job.job_id = run.job_id) AS complete_through;

-- seconds_to_work: how long until a queued run may be tried or a lease runs out; NULL when nothing is open
SELECT extract(epoch FROM min(CASE state WHEN 'queued' THEN not_before ELSE lease_until END) - clock_timestamp())::float8
FROM run
WHERE state IN ('queued', 'running') AND (exporter IS DISTINCT FROM $1 OR state = 'queued');

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

-- set_window: keep the window of a run for every later attempt
UPDATE run SET window_start = $2, window_end = $3 WHERE run_id = $1;

-- insert_part: note a finished part
INSERT INTO part (run_id, kind, number, token, name, object, rows, bytes_raw, bytes_packed, sha256)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);

-- drop_parts: forget parts that an attempt made which cannot go on from them; returns their objects
DELETE FROM part WHERE run_id = $1 RETURNING object;

-- parts: a run's finished parts in order
SELECT kind, number, token, name, object, rows, bytes_raw, bytes_packed, sha256
FROM part
WHERE run_id = $1
ORDER BY kind, number;

-- end: end a run under its claim, which `hold` has checked
UPDATE run SET state = $2, ended_at = clock_timestamp(), lease_until = NULL WHERE run_id = $1;

-- requeue: give a run back, under its claim, which `hold` has checked; $3 is added to its attempts
UPDATE run
SET state = 'queued', lease_until = NULL, exporter = NULL, not_before = clock_timestamp() + $2::interval, attempt = attempt + $3
WHERE run_id = $1
RETURNING not_before;

-- set_complete_through: how far the data of the job's last success is complete
UPDATE job SET complete_through = greatest(complete_through, $2) WHERE job_id = $1;

-- count_queued: runs that wait for an exporter
SELECT count(*) FROM run WHERE state = 'queued';

-- standing: under which token a run stands now, and in which state
SELECT token, state FROM run WHERE run_id = $1;

-- part_objects: the objects that a run's noted parts rest on
SELECT object FROM part WHERE run_id = $1;
