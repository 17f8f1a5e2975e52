-- begin: the scheduler's only clock; and a limit after which the server takes back what a stalled scheduler holds
SELECT ledger_now() AS now, set_config('idle_in_transaction_session_timeout', $1, true);

-- claim_due: jobs with a slot that is due, oldest first; rows that another scheduler works on are passed over
SELECT ctid::text AS place, * FROM schedule WHERE next_slot <= $1 ORDER BY next_slot LIMIT $2 FOR UPDATE SKIP LOCKED;

-- claim_newest: the same from the other end, so that those just due do not wait behind what was missed long ago
SELECT ctid::text AS place, * FROM schedule
WHERE next_slot <= $1 ORDER BY next_slot DESC LIMIT $2 FOR UPDATE SKIP LOCKED;

-- claim_unsettled: versions that rule no longer and have slots to decide
SELECT * FROM past WHERE next_slot <= $1 ORDER BY next_slot LIMIT $2 FOR UPDATE SKIP LOCKED;

-- heirs: the versions of some jobs that are still known, oldest first
SELECT * FROM past WHERE job_id = ANY ($1::uuid[])
UNION ALL SELECT * FROM schedule WHERE job_id = ANY ($1::uuid[])
ORDER BY job_id, version;

-- lock_jobs: the schedules that a batch of changes is about, in one order for all, so that nobody waits in a circle
SELECT * FROM schedule WHERE job_id = ANY ($1::uuid[]) ORDER BY job_id FOR UPDATE;

-- insert_jobs: schedules of jobs that were unknown; returns those that still were
INSERT INTO schedule (
    job_id, tenant_id, version, state, kind, start, immediately, every, catch_up, overlap, settings, since, until,
    deleted, next_slot)
SELECT * FROM unnest(
    $1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::timestamptz[], $7::boolean[], $8::integer[],
    $9::text[], $10::text[], $11::text[], $12::timestamptz[], $13::timestamptz[], $14::boolean[], $15::timestamptz[])
ORDER BY 1
ON CONFLICT DO NOTHING
RETURNING job_id;

-- update_jobs: schedules of jobs whose rows are locked
UPDATE schedule
SET version = new.version, state = new.state, kind = new.kind, start = new.start, immediately = new.immediately,
    every = new.every, catch_up = new.catch_up, overlap = new.overlap, settings = new.settings, since = new.since,
    deleted = new.deleted, next_slot = new.next_slot
FROM unnest(
    $1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::timestamptz[], $7::boolean[], $8::integer[],
    $9::text[], $10::text[], $11::text[], $12::timestamptz[], $13::timestamptz[], $14::boolean[], $15::timestamptz[])
    AS new (job_id, tenant_id, version, state, kind, start, immediately, every, catch_up, overlap, settings, since,
            until, deleted, next_slot)
WHERE schedule.job_id = new.job_id;

-- insert_past: versions that rule no longer
INSERT INTO past (
    job_id, tenant_id, version, state, kind, start, immediately, every, catch_up, overlap, settings, since, until,
    deleted, next_slot)
SELECT * FROM unnest(
    $1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::timestamptz[], $7::boolean[], $8::integer[],
    $9::text[], $10::text[], $11::text[], $12::timestamptz[], $13::timestamptz[], $14::boolean[], $15::timestamptz[])
ON CONFLICT DO NOTHING;

-- end_unsettled: jobs are deleted; what their older versions left open ends with them
UPDATE past SET deleted = true WHERE job_id = ANY ($1::uuid[]) AND next_slot IS NOT NULL;

-- insert_slots: write fates; returns the slots that had none yet
INSERT INTO slot (job_id, at, run_id, version, fate, reason, decided_at)
SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::bigint[], $5::text[], $6::text[], $7::timestamptz[])
ORDER BY 1, 2
ON CONFLICT DO NOTHING
RETURNING job_id, at;

-- request_slot: where a request to run now has its row already, or else the instants near it that are taken
SELECT at, run_id FROM slot WHERE job_id = $1 AND at >= $2 AND at < $2 + interval '1 millisecond';

-- job_is_deleted: whether the ledger knows of a job's deletion
SELECT deleted FROM schedule WHERE job_id = $1;

-- advance: move jobs past the slots that have just got their fate; their rows are locked, so they stay where they are
UPDATE schedule
SET next_slot = moved.next_slot
FROM unnest($1::text[]::tid[], $2::timestamptz[]) AS moved (place, next_slot)
WHERE schedule.ctid = moved.place;

-- advance_past: the same for versions that rule no longer
UPDATE past
SET next_slot = moved.next_slot
FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[]) AS moved (job_id, version, next_slot)
WHERE past.job_id = moved.job_id AND past.version = moved.version;

-- drop_old_versions: versions that nobody asks for any more; an older one with open slots is judged by those after it
DELETE FROM past
WHERE next_slot IS NULL AND until < ledger_now() - $1::interval
    AND NOT EXISTS (SELECT FROM past AS older WHERE older.job_id = past.job_id AND older.next_slot IS NOT NULL);

-- next_due: the first slot that has no fate, if any, and how many seconds it is away
SELECT next_slot, extract(epoch FROM next_slot - ledger_now())::float8 AS seconds
FROM (SELECT least(
    (SELECT min(next_slot) FROM schedule WHERE next_slot IS NOT NULL), (SELECT min(next_slot) FROM past)
) AS next_slot) AS first;

-- count_scheduled: jobs that have a next slot
SELECT count(*) FROM schedule WHERE next_slot IS NOT NULL;

-- drop_old_slots: forget the fates that were decided longest ago, a bounded number at once
DELETE FROM slot WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM slot WHERE decided_at < ledger_now() - $1::interval LIMIT $2));

-- begin_audit: make the auditor's row, once
INSERT INTO audit (slots_from, slots_to, due_at)
VALUES (ledger_now() - interval '1 hour', ledger_now() - interval '2 minutes', ledger_now()) ON CONFLICT DO NOTHING;

-- lock_audit: where the auditor stands, unless another scheduler is at it or the next round is not due
SELECT after_job, slots_from, slots_to FROM audit WHERE due_at <= ledger_now() FOR UPDATE SKIP LOCKED;

-- audited_jobs: the next schedules in the order of their ids
SELECT * FROM schedule WHERE $1::uuid IS NULL OR job_id > $1 ORDER BY job_id LIMIT $2;

-- audited_past: the versions of some jobs that ruled after an instant and rule no longer
SELECT * FROM past WHERE job_id = ANY ($1::uuid[]) AND until > $2;

-- audited_slots: the ledger of some jobs between two instants; whole seconds are the schedule's, others are requests'
SELECT slot.job_id, at, run_id, version, fate, reason
FROM unnest($1::uuid[]) AS job (job_id) JOIN slot ON slot.job_id = job.job_id AND at >= $2 AND at < $3
WHERE at = date_trunc('second', at);

-- move_audit: go on in this round
UPDATE audit SET after_job = $1;

-- next_audit: the round is done; the next takes up where it began, and at least an hour
UPDATE audit
SET after_job = NULL, due_at = ledger_now() + $1::interval, slots_to = ledger_now() - interval '2 minutes',
    slots_from = greatest(least(slots_to, ledger_now() - interval '1 hour'), ledger_now() - interval '1 day');
