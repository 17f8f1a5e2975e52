-- A view of the runs that can be claimed, so that claiming a run and checking whether one waits agree.
-- depends: 0003_exporter_cause

-- migrate: apply
CREATE VIEW claimable_run AS
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

-- migrate: rollback
DROP VIEW claimable_run;
