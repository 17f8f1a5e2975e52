-- Remember deletions until compacted topics need them no more: an explicit record for 90 days, then a tombstone.
-- depends: 0009_job_api_source_numbers

-- migrate: apply
CREATE TABLE deletion (
    object_id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('job', 'certificate', 'identity')),
    tenant_id uuid NOT NULL,
    version bigint NOT NULL,
    deleted_at timestamptz NOT NULL,
    announced_at timestamptz
);
CREATE INDEX deletion_due ON deletion (announced_at);
ALTER TABLE deletion ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON deletion USING (in_scope(tenant_id));

-- Jobs deleted so far had tombstones only: they are announced again, explicitly.
SELECT set_config('job_api.scope', 'all', true);
INSERT INTO deletion (object_id, kind, tenant_id, version, deleted_at)
SELECT DISTINCT ON (object_id) object_id, 'job', tenant_id, coalesce((before ->> 'version')::bigint, 0) + 1, at
FROM audit
WHERE action = 'job.delete' AND NOT EXISTS (SELECT FROM job WHERE job.job_id = audit.object_id)
ORDER BY object_id, at DESC;

-- migrate: rollback
DROP TABLE deletion;
