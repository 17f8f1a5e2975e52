-- Bind an Idempotency-Key to the whole request: its method, path and body. Keys of earlier releases are deleted.
-- depends: 0006_job_api_audit_lists

-- migrate: apply
DELETE FROM idempotency;
ALTER TABLE idempotency DROP CONSTRAINT idempotency_pkey;
ALTER TABLE idempotency DROP COLUMN operation;
ALTER TABLE idempotency DROP COLUMN body_hash;
-- Not renamed: the name of a NOT NULL constraint would stay behind.
ALTER TABLE idempotency ADD COLUMN fingerprint text NOT NULL;
ALTER TABLE idempotency ADD PRIMARY KEY (tenant_id, user_id, key);

-- migrate: rollback
DELETE FROM idempotency;
ALTER TABLE idempotency DROP CONSTRAINT idempotency_pkey;
ALTER TABLE idempotency DROP COLUMN fingerprint;
ALTER TABLE idempotency ADD COLUMN body_hash text NOT NULL;
ALTER TABLE idempotency ADD COLUMN operation text NOT NULL;
ALTER TABLE idempotency ADD PRIMARY KEY (tenant_id, user_id, operation, key);
