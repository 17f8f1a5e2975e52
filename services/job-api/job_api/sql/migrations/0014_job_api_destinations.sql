-- Destinations (rule D1): a tenant's own storage, with credentials that only the delivery process can open.
-- depends: 0013_job_api_certificate_keys

-- migrate: apply
ALTER TABLE tenant ADD COLUMN external_id uuid NOT NULL DEFAULT gen_random_uuid();
CREATE TABLE destination (
    destination_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenant,
    version bigint NOT NULL,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    kind text NOT NULL CHECK (kind IN ('s3', 'gcs', 'azure', 'sftp')),
    state text NOT NULL CHECK (state IN ('active', 'disabled')),
    address jsonb NOT NULL,
    key_id text NOT NULL,
    sealed_credentials text NOT NULL,
    created_at timestamptz NOT NULL,
    saved_at timestamptz NOT NULL,
    test_id uuid,
    test_requested_at timestamptz,
    test_ended_at timestamptz,
    test_report jsonb,
    tested_at timestamptz,
    CHECK ((test_id IS NULL) = (test_requested_at IS NULL)),
    CHECK ((test_ended_at IS NULL) = (test_report IS NULL))
);
CREATE UNIQUE INDEX destination_name ON destination (tenant_id, lower(name));
CREATE INDEX destination_listed ON destination (tenant_id, created_at DESC, destination_id);
ALTER TABLE destination ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON destination USING (in_scope(tenant_id));
ALTER TABLE deletion DROP CONSTRAINT deletion_kind_check;
ALTER TABLE deletion ADD CONSTRAINT deletion_kind_check
    CHECK (kind IN ('job', 'certificate', 'identity', 'destination'));

-- migrate: rollback
DELETE FROM deletion WHERE kind = 'destination';
ALTER TABLE deletion DROP CONSTRAINT deletion_kind_check;
ALTER TABLE deletion ADD CONSTRAINT deletion_kind_check CHECK (kind IN ('job', 'certificate', 'identity'));
DROP TABLE destination;
ALTER TABLE tenant DROP COLUMN external_id;
