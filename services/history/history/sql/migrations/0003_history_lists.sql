-- An index for each order of the run list, for the runs of a state and for the files of a run; progress over time.
-- depends: 0002_history_files

-- migrate: apply
CREATE INDEX run_by_started ON run (tenant_id, (coalesce(started_at, '-infinity')), run_id) WHERE removed_at IS NULL;
CREATE INDEX run_by_ended ON run (tenant_id, (coalesce(ended_at, '-infinity')), run_id) WHERE removed_at IS NULL;
CREATE INDEX run_by_duration
    ON run (tenant_id, (coalesce(extract(epoch FROM ended_at - started_at), -1)::float8), run_id)
    WHERE removed_at IS NULL;
CREATE INDEX run_by_title ON run (tenant_id, (coalesce(title, '')), run_id) WHERE removed_at IS NULL;
CREATE INDEX run_by_state ON run (tenant_id, state, run_id) WHERE removed_at IS NULL;
CREATE INDEX run_by_type ON run (tenant_id, (coalesce(type, '')), run_id) WHERE removed_at IS NULL;
CREATE INDEX run_by_source ON run (tenant_id, (coalesce(source, '')), run_id) WHERE removed_at IS NULL;
CREATE INDEX run_by_rows ON run (tenant_id, (coalesce(rows, -1)), run_id) WHERE removed_at IS NULL;
CREATE INDEX run_by_files ON run (tenant_id, (files::bigint), run_id) WHERE removed_at IS NULL;
CREATE INDEX run_state_created ON run (tenant_id, state, created_at, run_id) WHERE removed_at IS NULL;
ALTER INDEX run_tenant_created RENAME TO run_by_created;
CREATE INDEX artifact_by_name ON artifact (tenant_id, name, artifact_id);
CREATE INDEX artifact_by_title ON artifact (tenant_id, title, artifact_id);
CREATE INDEX artifact_by_type ON artifact (tenant_id, type, artifact_id);
CREATE INDEX artifact_by_size ON artifact (tenant_id, bytes_packed, artifact_id);
CREATE INDEX artifact_by_state ON artifact (tenant_id, state, artifact_id);
CREATE INDEX artifact_job_created ON artifact (job_id, created_at, artifact_id);
ALTER INDEX artifact_tenant_created RENAME TO artifact_by_created;
ALTER TABLE estimate_score ADD COLUMN points jsonb;

-- migrate: rollback
ALTER TABLE estimate_score DROP COLUMN points;
ALTER INDEX artifact_by_created RENAME TO artifact_tenant_created;
DROP INDEX artifact_job_created, artifact_by_state, artifact_by_size, artifact_by_type, artifact_by_title,
    artifact_by_name;
ALTER INDEX run_by_created RENAME TO run_tenant_created;
DROP INDEX run_state_created, run_by_files, run_by_rows, run_by_source, run_by_type, run_by_state, run_by_title,
    run_by_duration, run_by_ended, run_by_started;
