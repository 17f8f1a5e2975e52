-- Sort the list of jobs by the kind of schedule.
-- depends: 0003_job_api_deep_pages

-- migrate: apply
CREATE INDEX job_by_schedule ON job (tenant_id, schedule_kind, job_id);

-- migrate: rollback
DROP INDEX job_by_schedule;
