-- A file that the store refuses to delete is tried again later, and says why.
-- depends: 0008_history_instants

-- migrate: apply
ALTER TABLE artifact
    ADD COLUMN removal_failures integer NOT NULL DEFAULT 0,
    ADD COLUMN removal_retry_at timestamptz,
    ADD COLUMN removal_fault text;
CREATE INDEX artifact_refused ON artifact (removal_retry_at) WHERE removal_retry_at IS NOT NULL;

-- migrate: rollback
ALTER TABLE artifact DROP COLUMN removal_failures, DROP COLUMN removal_retry_at, DROP COLUMN removal_fault;
