-- Leases are judged by how long exporters saw no heartbeat, and retries by their delay: the database's clock may step.
-- depends: 0007_exporter_watermark

-- migrate: apply
-- lease_until is no longer read, but still written, and watched: exporters of the previous release renew nothing else.
ALTER TABLE run
    ADD COLUMN heartbeat bigint NOT NULL DEFAULT 0,
    ADD COLUMN lease_length interval,
    ADD COLUMN lease_expired boolean NOT NULL DEFAULT false,
    ADD COLUMN retry_delay interval NOT NULL DEFAULT '0';
ALTER TABLE slice
    ADD COLUMN heartbeat bigint NOT NULL DEFAULT 0,
    ADD COLUMN lease_length interval,
    ADD COLUMN lease_expired boolean NOT NULL DEFAULT false;
CREATE TRIGGER run_lease_expired AFTER UPDATE OF lease_expired ON run FOR EACH ROW
    WHEN (NEW.lease_expired AND NOT OLD.lease_expired) EXECUTE FUNCTION run_notify('work');
CREATE TRIGGER slice_lease_expired AFTER UPDATE OF lease_expired ON slice FOR EACH ROW
    WHEN (NEW.lease_expired AND NOT OLD.lease_expired) EXECUTE FUNCTION run_notify('work');
CREATE OR REPLACE VIEW claimable_run AS
SELECT
    run_id,
    state,
    queued_at,
    (
        SELECT count(*) FROM run AS other
        WHERE other.tenant_id = run.tenant_id AND other.state = 'running' AND NOT other.lease_expired
    ) AS tenant_running
FROM run
WHERE cancel_reason IS NULL
  AND (
      (state = 'queued' AND clock_timestamp() NOT BETWEEN not_before - retry_delay AND not_before)
      OR (state = 'running' AND lease_expired)
  )
  AND NOT EXISTS (
      SELECT FROM run AS other
      WHERE other.job_id = run.job_id AND other.run_id <> run.run_id
        AND (other.state = 'running' OR (other.state = 'queued' AND other.queued_at < run.queued_at))
  );

-- migrate: rollback
CREATE OR REPLACE VIEW claimable_run AS
SELECT
    run_id,
    state,
    queued_at,
    (
        SELECT count(*) FROM run AS other
        WHERE other.tenant_id = run.tenant_id AND other.state = 'running' AND other.lease_until >= clock_timestamp()
    ) AS tenant_running
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
  );
DROP TRIGGER run_lease_expired ON run;
DROP TRIGGER slice_lease_expired ON slice;
ALTER TABLE run
    DROP COLUMN heartbeat, DROP COLUMN lease_length, DROP COLUMN lease_expired, DROP COLUMN retry_delay;
ALTER TABLE slice DROP COLUMN heartbeat, DROP COLUMN lease_length, DROP COLUMN lease_expired;
