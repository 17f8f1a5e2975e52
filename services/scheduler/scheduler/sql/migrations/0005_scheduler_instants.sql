-- Instants that users give lie between 1970 and 2999; rows that were there before are not checked until they change.
-- depends: 0004_scheduler_deleted_jobs

-- migrate: apply
-- An earlier start is moved by multiples of 400 years, after which weekdays, days and months recur.
UPDATE schedule
SET start = CASE WHEN isfinite(start) AND start < '1970-01-01 00:00:00+00'
        THEN start + make_interval(years => 400 * ceil((1970 - extract(year FROM start AT TIME ZONE 'UTC')) / 400)::integer)
        ELSE greatest('1970-01-01 00:00:00+00', least(start, '2999-12-31 23:59:59.999999+00')) END
WHERE start NOT BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00';
UPDATE schedule SET next_slot = NULL WHERE next_slot NOT BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00';
UPDATE schedule_history
SET start = CASE WHEN isfinite(start) AND start < '1970-01-01 00:00:00+00'
        THEN start + make_interval(years => 400 * ceil((1970 - extract(year FROM start AT TIME ZONE 'UTC')) / 400)::integer)
        ELSE greatest('1970-01-01 00:00:00+00', least(start, '2999-12-31 23:59:59.999999+00')) END
WHERE start NOT BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00';
UPDATE schedule_history SET next_slot = NULL WHERE next_slot NOT BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00';

ALTER TABLE schedule ADD CONSTRAINT schedule_instants CHECK (
        start BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
        AND since BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
        AND next_slot BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
    ) NOT VALID;
ALTER TABLE schedule_history ADD CONSTRAINT schedule_history_instants CHECK (
        start BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
        AND since BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
        AND until BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
        AND next_slot BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
    ) NOT VALID;
ALTER TABLE slot ADD CONSTRAINT slot_instants CHECK (
        at BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
    ) NOT VALID;

-- Jobs that cannot be decided, so that they do not stop the others: after a failure a job is tried again at `retry_at`.
CREATE TABLE schedule_fault (
    job_id uuid PRIMARY KEY,
    failures integer NOT NULL,
    retry_at timestamptz NOT NULL,
    error text NOT NULL
);

-- migrate: rollback
DROP TABLE schedule_fault;
ALTER TABLE schedule DROP CONSTRAINT schedule_instants;
ALTER TABLE schedule_history DROP CONSTRAINT schedule_history_instants;
ALTER TABLE slot DROP CONSTRAINT slot_instants;
