-- now: the scheduler's only clock
SELECT ledger_now();

-- claim_due: jobs with a slot that is due, oldest first; rows that another scheduler works on are passed over
SELECT job_id, spec::text AS spec, next_slot
FROM schedule
WHERE next_slot <= $1
ORDER BY next_slot
LIMIT $2
FOR UPDATE SKIP LOCKED;

-- lock_jobs: the schedules that a batch of changes is about, in one order for all, so that nobody waits in a circle
SELECT job_id, version, spec::text AS spec, next_slot, decided_until, deleted
FROM schedule
WHERE job_id = ANY ($1::uuid[])
ORDER BY job_id
FOR UPDATE;

-- save_jobs: write schedules; an older version never overwrites a newer one, a deleted job stays deleted
INSERT INTO schedule (job_id, version, spec, next_slot, decided_until, deleted)
SELECT job_id, version, spec::jsonb, next_slot, decided_until, deleted
FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::boolean[])
    AS new (job_id, version, spec, next_slot, decided_until, deleted)
ORDER BY job_id
ON CONFLICT (job_id) DO UPDATE
SET version = excluded.version,
    spec = excluded.spec,
    next_slot = excluded.next_slot,
    decided_until = excluded.decided_until,
    deleted = excluded.deleted
WHERE NOT schedule.deleted AND (schedule.version < excluded.version OR excluded.deleted);

-- insert_slots: write fates; returns the slots that had none yet
INSERT INTO slot (job_id, at, run_id, fate, reason, decided_at)
SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::text[], $5::text[], $6::timestamptz[])
ON CONFLICT DO NOTHING
RETURNING job_id, at;

-- advance: move jobs past the slots that have just got their fate
UPDATE schedule
SET next_slot = moved.next_slot, decided_until = moved.decided_until
FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) AS moved (job_id, next_slot, decided_until)
WHERE schedule.job_id = moved.job_id;

-- seconds_to_next: how long until some slot is due; NULL when none will be
SELECT extract(epoch FROM min(next_slot) - ledger_now())::float8 FROM schedule WHERE next_slot IS NOT NULL;

-- count_scheduled: jobs that have a next slot
SELECT count(*) FROM schedule WHERE next_slot IS NOT NULL;
