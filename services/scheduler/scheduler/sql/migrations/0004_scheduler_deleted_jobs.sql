-- Remember deletions of jobs of which no version has arrived, so that an older version behind one starts nothing.
-- depends: 0003_scheduler_schedule_history

-- migrate: apply
CREATE TABLE deleted_job (
    job_id uuid PRIMARY KEY,
    version bigint NOT NULL
);

-- migrate: rollback
DROP TABLE deleted_job;
