-- Entries of other services in the audit trail, each once.
-- depends: 0007_job_api_idempotency_keys

-- migrate: apply
ALTER TABLE audit ADD COLUMN service text NOT NULL DEFAULT 'job-api', ADD COLUMN event_id uuid;
CREATE UNIQUE INDEX audit_event ON audit (event_id);
CREATE INDEX audit_by_service ON audit (tenant_id, service, audit_id);

-- migrate: rollback
DELETE FROM audit WHERE service <> 'job-api';
ALTER TABLE audit DROP COLUMN service, DROP COLUMN event_id;
