-- begin: the database's clock; and a limit after which PostgreSQL aborts the transaction of a stalled scheduler
SELECT ledger_now() AS now, set_config('idle_in_transaction_session_timeout', $1, true);

-- claim_due: jobs with a due slot, oldest first, skipping rows that another scheduler has locked
SELECT ctid::text AS ctid, job_id, tenant_id, version, state, kind, start, immediately, every, catch_up, overlap,
    settings, since, until, deleted, next_slot
FROM schedule
WHERE next_slot <= $1 AND NOT awaits_resumption
  AND NOT EXISTS (SELECT FROM schedule_fault AS fault WHERE fault.job_id = schedule.job_id AND fault.retry_at > $1)
ORDER BY next_slot LIMIT $2 FOR UPDATE SKIP LOCKED;

-- claim_newest: the same from the other end, so that slots due now do not wait behind slots missed long ago
SELECT ctid::text AS ctid, job_id, tenant_id, version, state, kind, start, immediately, every, catch_up, overlap,
    settings, since, until, deleted, next_slot
FROM schedule
WHERE next_slot <= $1 AND NOT awaits_resumption
  AND NOT EXISTS (SELECT FROM schedule_fault AS fault WHERE fault.job_id = schedule.job_id AND fault.retry_at > $1)
ORDER BY next_slot DESC LIMIT $2 FOR UPDATE SKIP LOCKED;

-- claim_suspended: suspended jobs with a slot that has been due for so long that no resumption before it is on its way
SELECT ctid::text AS ctid, job_id, tenant_id, version, state, kind, start, immediately, every, catch_up, overlap,
    settings, since, until, deleted, next_slot
FROM schedule
WHERE next_slot <= $2 AND awaits_resumption
  AND NOT EXISTS (SELECT FROM schedule_fault AS fault WHERE fault.job_id = schedule.job_id AND fault.retry_at > $1)
ORDER BY next_slot LIMIT $3 FOR UPDATE SKIP LOCKED;

-- claim_superseded: superseded versions with due slots
SELECT job_id, tenant_id, version, state, kind, start, immediately, every, catch_up, overlap, settings, since, until,
    deleted, next_slot
FROM schedule_history
WHERE next_slot <= $1
  AND NOT EXISTS (SELECT FROM schedule_fault AS fault WHERE fault.job_id = schedule_history.job_id AND fault.retry_at > $1)
ORDER BY next_slot LIMIT $2 FOR UPDATE SKIP LOCKED;

-- find_versions: all stored versions of some jobs, oldest first
SELECT job_id, tenant_id, version, state, kind, start, immediately, every, catch_up, overlap, settings, since, until,
    deleted, next_slot
FROM schedule_history WHERE job_id = ANY ($1::uuid[])
UNION ALL
SELECT job_id, tenant_id, version, state, kind, start, immediately, every, catch_up, overlap, settings, since, until,
    deleted, next_slot
FROM schedule WHERE job_id = ANY ($1::uuid[])
ORDER BY job_id, version;

-- lock_jobs: the schedules that a batch of changes concerns, always in the same order, which prevents deadlocks
SELECT job_id, tenant_id, version, state, kind, start, immediately, every, catch_up, overlap, settings, since, until,
    deleted, next_slot
FROM schedule WHERE job_id = ANY ($1::uuid[]) ORDER BY job_id FOR UPDATE;

-- insert_jobs: schedules of new jobs; returns those that did not exist
INSERT INTO schedule (
    job_id, tenant_id, version, state, kind, start, immediately, every, catch_up, overlap, settings, since, until,
    deleted, next_slot)
SELECT job_id, tenant_id, version, state, kind, start, immediately, every, catch_up, overlap, settings, since, until,
    deleted, next_slot
FROM unnest(
    :job_id::uuid[], :tenant_id::uuid[], :version::bigint[], :state::text[], :kind::text[],
    :start::timestamptz[], :immediately::boolean[], :every::integer[], :catch_up::text[], :overlap::text[],
    :settings::text[], :since::timestamptz[], :until::timestamptz[], :deleted::boolean[], :next_slot::timestamptz[])
    AS new (job_id, tenant_id, version, state, kind, start, immediately, every, catch_up, overlap, settings, since,
            until, deleted, next_slot)
ORDER BY job_id
ON CONFLICT DO NOTHING
RETURNING job_id;

-- update_jobs: the new current versions of jobs whose rows are locked
UPDATE schedule
SET version = new.version, state = new.state, kind = new.kind, start = new.start, immediately = new.immediately,
    every = new.every, catch_up = new.catch_up, overlap = new.overlap, settings = new.settings, since = new.since,
    deleted = new.deleted, next_slot = new.next_slot
FROM unnest(
    :job_id::uuid[], :version::bigint[], :state::text[], :kind::text[], :start::timestamptz[],
    :immediately::boolean[], :every::integer[], :catch_up::text[], :overlap::text[], :settings::text[],
    :since::timestamptz[], :deleted::boolean[], :next_slot::timestamptz[])
    AS new (job_id, version, state, kind, start, immediately, every, catch_up, overlap, settings, since, deleted,
            next_slot)
WHERE schedule.job_id = new.job_id;

-- insert_superseded: superseded versions
INSERT INTO schedule_history (
    job_id, tenant_id, version, state, kind, start, immediately, every, catch_up, overlap, settings, since, until,
    deleted, next_slot)
SELECT job_id, tenant_id, version, state, kind, start, immediately, every, catch_up, overlap, settings, since, until,
    deleted, next_slot
FROM unnest(
    :job_id::uuid[], :tenant_id::uuid[], :version::bigint[], :state::text[], :kind::text[],
    :start::timestamptz[], :immediately::boolean[], :every::integer[], :catch_up::text[], :overlap::text[],
    :settings::text[], :since::timestamptz[], :until::timestamptz[], :deleted::boolean[], :next_slot::timestamptz[])
    AS new (job_id, tenant_id, version, state, kind, start, immediately, every, catch_up, overlap, settings, since,
            until, deleted, next_slot)
ON CONFLICT DO NOTHING;

-- end_superseded: mark open superseded versions of deleted jobs as deleted
UPDATE schedule_history SET deleted = true WHERE job_id = ANY ($1::uuid[]) AND next_slot IS NOT NULL;

-- insert_slots: decided slots; returns those that had no fate yet
INSERT INTO slot (job_id, at, run_id, version, fate, reason, decided_at)
SELECT job_id, at, run_id, version, fate, reason, decided_at
FROM unnest(
    :job_id::uuid[], :at::timestamptz[], :run_id::uuid[], :version::bigint[], :fate::text[], :reason::text[],
    :decided_at::timestamptz[])
    AS new (job_id, at, run_id, version, fate, reason, decided_at)
ORDER BY job_id, at
ON CONFLICT DO NOTHING
RETURNING job_id, at;

-- find_slots_near: a job's slots within the millisecond after an instant
SELECT at, run_id FROM slot WHERE job_id = $1 AND at >= $2 AND at < $2 + interval '1 millisecond';

-- is_deleted: whether a job is known to be deleted
SELECT EXISTS (SELECT FROM schedule WHERE job_id = $1 AND deleted)
    OR EXISTS (SELECT FROM deleted_job WHERE job_id = $1);

-- find_deleted: those of some jobs that were deleted before any version of them arrived
SELECT job_id FROM deleted_job WHERE job_id = ANY ($1::uuid[]);

-- insert_deleted: remember deletions of jobs of which no version has arrived
INSERT INTO deleted_job (job_id, version) SELECT * FROM unnest($1::uuid[], $2::bigint[]) ON CONFLICT DO NOTHING;

-- forget_deleted: forget deletions whose tombstone has arrived
DELETE FROM deleted_job WHERE job_id = ANY ($1::uuid[]);

-- advance: the next slots of jobs; their rows are locked, so their ctids do not change
UPDATE schedule
SET next_slot = decided.next_slot
FROM unnest($1::text[]::tid[], $2::timestamptz[]) AS decided (ctid, next_slot)
WHERE schedule.ctid = decided.ctid;

-- advance_superseded: the next slots of superseded versions
UPDATE schedule_history
SET next_slot = decided.next_slot
FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[]) AS decided (job_id, version, next_slot)
WHERE schedule_history.job_id = decided.job_id AND schedule_history.version = decided.version;

-- delete_old_versions: superseded versions that no decision needs any more; earlier versions with open slots need them
DELETE FROM schedule_history
WHERE next_slot IS NULL AND until < ledger_now() - $1::interval
    AND NOT EXISTS (
        SELECT FROM schedule_history AS earlier
        WHERE earlier.job_id = schedule_history.job_id AND earlier.next_slot IS NOT NULL);

-- find_next_due: the first slot without a fate, if any, and the seconds until it is due; not of jobs with a fault
SELECT next_slot, extract(epoch FROM next_slot - ledger_now())::float8 AS seconds,
    (SELECT count(*) FROM schedule_fault) AS faults
FROM (SELECT least(
    (SELECT next_slot FROM schedule
        WHERE next_slot IS NOT NULL AND NOT awaits_resumption AND NOT EXISTS (
            SELECT FROM schedule_fault AS fault WHERE fault.job_id = schedule.job_id AND fault.retry_at > ledger_now())
        ORDER BY next_slot LIMIT 1),
    (SELECT next_slot + $1::interval FROM schedule
        WHERE next_slot IS NOT NULL AND awaits_resumption AND NOT EXISTS (
            SELECT FROM schedule_fault AS fault WHERE fault.job_id = schedule.job_id AND fault.retry_at > ledger_now())
        ORDER BY next_slot LIMIT 1),
    (SELECT next_slot FROM schedule_history
        WHERE next_slot IS NOT NULL AND NOT EXISTS (
            SELECT FROM schedule_fault AS fault
            WHERE fault.job_id = schedule_history.job_id AND fault.retry_at > ledger_now())
        ORDER BY next_slot LIMIT 1)
) AS next_slot) AS first;

-- due_jobs: the ids of jobs with due slots, oldest first; no other column, since one of these may be unreadable
SELECT job_id FROM (
    SELECT job_id, min(next_slot) AS due FROM (
        SELECT job_id, next_slot FROM schedule WHERE next_slot <= $1 AND NOT awaits_resumption
        UNION ALL SELECT job_id, next_slot FROM schedule WHERE next_slot <= $2 AND awaits_resumption
        UNION ALL SELECT job_id, next_slot FROM schedule_history WHERE next_slot <= $1
    ) AS each
    WHERE NOT EXISTS (SELECT FROM schedule_fault AS fault WHERE fault.job_id = each.job_id AND fault.retry_at > $1)
    GROUP BY job_id
) AS job ORDER BY due LIMIT $3;

-- claim_job: one job with a due slot, unless another scheduler has locked it
SELECT ctid::text AS ctid, job_id, tenant_id, version, state, kind, start, immediately, every, catch_up, overlap,
    settings, since, until, deleted, next_slot
FROM schedule
WHERE job_id = $1 AND next_slot <= CASE WHEN awaits_resumption THEN $3::timestamptz ELSE $2 END FOR UPDATE SKIP LOCKED;

-- claim_superseded_of: superseded versions with due slots of one job
SELECT job_id, tenant_id, version, state, kind, start, immediately, every, catch_up, overlap, settings, since, until,
    deleted, next_slot
FROM schedule_history WHERE job_id = $1 AND next_slot <= $2 ORDER BY next_slot FOR UPDATE SKIP LOCKED;

-- save_fault: set a job aside for ten seconds, and for twice as long after each further failure, an hour at most
INSERT INTO schedule_fault AS fault (job_id, failures, retry_at, error)
VALUES ($1, 1, ledger_now() + interval '10 seconds', $2)
ON CONFLICT (job_id) DO UPDATE SET failures = fault.failures + 1, error = excluded.error,
    retry_at = ledger_now() + least(interval '1 hour', interval '10 seconds' * 2 ^ least(fault.failures, 10));

-- clear_faults: let jobs be decided again
DELETE FROM schedule_fault WHERE job_id = ANY ($1::uuid[]);

-- count_scheduled: the number of jobs that have a next slot
SELECT count(*) FROM schedule WHERE next_slot IS NOT NULL;

-- delete_old_slots: slots that were decided longest ago, up to a limit
DELETE FROM slot WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM slot WHERE decided_at < ledger_now() - $1::interval LIMIT $2));

-- begin_audit: create the auditor's row, once
INSERT INTO audit (slots_from, slots_to, due_at)
VALUES (ledger_now() - interval '1 hour', ledger_now() - interval '2 minutes', ledger_now()) ON CONFLICT DO NOTHING;

-- lock_audit: the auditor's position, unless another scheduler is auditing or the next round is not due
SELECT after_job, slots_from, slots_to FROM audit WHERE due_at <= ledger_now() FOR UPDATE SKIP LOCKED;

-- audited_jobs: the next schedules in the order of their ids
SELECT job_id, tenant_id, version, state, kind, start, immediately, every, catch_up, overlap, settings, since, until,
    deleted, next_slot
FROM schedule WHERE $1::uuid IS NULL OR job_id > $1 ORDER BY job_id LIMIT $2;

-- audited_superseded: superseded versions of some jobs that were in force after an instant
SELECT job_id, tenant_id, version, state, kind, start, immediately, every, catch_up, overlap, settings, since, until,
    deleted, next_slot
FROM schedule_history WHERE job_id = ANY ($1::uuid[]) AND until > $2;

-- audited_slots: the slots of some jobs between two instants; only whole seconds, as others belong to run-now requests
SELECT slot.job_id, at, run_id, version, fate, reason
FROM unnest($1::uuid[]) AS job (job_id) JOIN slot ON slot.job_id = job.job_id AND at >= $2 AND at < $3
WHERE at = date_trunc('second', at);

-- skip_audit: move the position past the next job, which cannot be read
UPDATE audit SET after_job = (
    SELECT job_id FROM schedule WHERE audit.after_job IS NULL OR job_id > audit.after_job ORDER BY job_id LIMIT 1)
RETURNING after_job;

-- move_audit: the position within this round
UPDATE audit SET after_job = $1;

-- end_audit: end the round; the next one begins where this one did, and at least an hour ago
UPDATE audit
SET after_job = NULL, due_at = ledger_now() + $1::interval, slots_to = ledger_now() - interval '2 minutes',
    slots_from = greatest(least(slots_to, ledger_now() - interval '1 hour'), ledger_now() - interval '1 day');
