-- When a run last encrypted for a certificate, from the runs' events.
-- depends: 0015_job_api_roles

-- migrate: apply
ALTER TABLE certificate ADD COLUMN last_used_at timestamptz;

-- migrate: rollback
ALTER TABLE certificate DROP COLUMN last_used_at;
