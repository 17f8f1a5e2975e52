-- The audit trail of all services is kept by job-api; history publishes its entries as events.
-- depends: 0006_history_idempotency

-- migrate: apply
DROP TABLE audit;

-- migrate: rollback
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
