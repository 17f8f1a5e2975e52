-- Instants that users give lie between 1970 and 2999; rows that were there before are not checked until they change.
-- depends: 0010_job_api_deletions

-- migrate: apply
-- A certificate without an end has the year 9999; no run will need it after 2999.
SELECT set_config('job_api.scope', 'all', true);
UPDATE certificate
SET not_before = greatest(not_before, '1970-01-01 00:00:00+00'), not_after = least(not_after, '2999-12-31 23:59:59.999999+00')
WHERE not_before < '1970-01-01 00:00:00+00' OR not_after > '2999-12-31 23:59:59.999999+00';
-- An earlier start is moved by multiples of 400 years, after which weekdays, days and months recur.
UPDATE job
SET schedule_start = CASE WHEN isfinite(schedule_start) AND schedule_start < '1970-01-01 00:00:00+00'
        THEN schedule_start + make_interval(years => 400 * ceil((1970 - extract(year FROM schedule_start AT TIME ZONE 'UTC')) / 400)::integer)
        ELSE greatest('1970-01-01 00:00:00+00', least(schedule_start, '2999-12-31 23:59:59.999999+00')) END
WHERE schedule_start NOT BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00';
UPDATE job SET next_run_at = NULL WHERE next_run_at NOT BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00';

ALTER TABLE identity ADD CONSTRAINT identity_instants CHECK (
        expires_at BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
    ) NOT VALID;
ALTER TABLE certificate ADD CONSTRAINT certificate_instants CHECK (
        not_before BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
        AND not_after BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
    ) NOT VALID;
ALTER TABLE job ADD CONSTRAINT job_instants CHECK (
        schedule_start BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
        AND next_run_at BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
        AND last_run_at BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
    ) NOT VALID;
ALTER TABLE run_view ADD CONSTRAINT run_view_instants CHECK (
        slot BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
    ) NOT VALID;

-- migrate: rollback
ALTER TABLE identity DROP CONSTRAINT identity_instants;
ALTER TABLE certificate DROP CONSTRAINT certificate_instants;
ALTER TABLE job DROP CONSTRAINT job_instants;
ALTER TABLE run_view DROP CONSTRAINT run_view_instants;
