-- Retention by tenant, the audit trail, and short-lived links.
-- depends: 0001_history_initial

-- migrate: apply
-- The retention of tenants' files, where it is shorter than that of the installation.
CREATE TABLE retention (
    tenant_id uuid PRIMARY KEY,
    days integer NOT NULL CHECK (days BETWEEN 1 AND 30)
);

-- The audit trail of downloads, deletions, cancellations and changes; `details` has the values before and after.
CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    name text NOT NULL,
    action text NOT NULL,
    object_id uuid NOT NULL,
    details jsonb NOT NULL
);
CREATE INDEX audit_tenant ON audit (tenant_id, id);

-- Short-lived links to a file that need no login, with only a hash of their secret.
CREATE TABLE link (
    secret_hash text PRIMARY KEY,
    tenant_id uuid NOT NULL,
    artifact_id uuid NOT NULL,
    user_id uuid NOT NULL,
    name text NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX artifact_available ON artifact (created_at) WHERE state = 'available';

-- migrate: rollback
DROP INDEX artifact_available;
DROP TABLE link, audit, retention;
