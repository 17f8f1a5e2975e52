-- Retention by tenant, audit, short-lived links.
-- depends: 0001_history_initial

-- migrate: apply
-- How long a tenant wants its files kept, where that is shorter than the installation's own time.
CREATE TABLE retention (
    tenant_id uuid PRIMARY KEY,
    days integer NOT NULL CHECK (days BETWEEN 1 AND 30)
);

-- Who downloaded, deleted, cancelled, removed or changed what, and when; `details` has what it was before and after.
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

-- Links to a file that work without a login for a short time; only a hash of the secret in them.
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
