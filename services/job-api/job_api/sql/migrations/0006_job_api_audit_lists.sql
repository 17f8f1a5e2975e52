-- Sort the audit trail by the columns that it shows, with an index for each, and find an object's entries by an index.
-- depends: 0005_job_api_subjects

-- migrate: apply
-- A column, as lower() cannot use an index under row-level security (see 0003).
ALTER TABLE audit ADD COLUMN actor_key text NOT NULL GENERATED ALWAYS AS (lower(actor_name)) STORED;
DROP INDEX audit_listed;
CREATE INDEX audit_by_at ON audit (tenant_id, at, audit_id);
CREATE INDEX audit_by_actor ON audit (tenant_id, actor_key, audit_id);
CREATE INDEX audit_by_action ON audit (tenant_id, action, audit_id);
CREATE INDEX audit_by_kind ON audit (tenant_id, object_kind, audit_id);
CREATE INDEX audit_by_object_id ON audit (tenant_id, object_id, audit_id);

-- migrate: rollback
DROP INDEX audit_by_at, audit_by_actor, audit_by_action, audit_by_kind, audit_by_object_id;
CREATE INDEX audit_listed ON audit (tenant_id, audit_id DESC);
ALTER TABLE audit DROP COLUMN actor_key;
