-- Responses by Idempotency-Key, for any request.
-- depends: 0005_history_saved_run

-- migrate: apply
-- `link.request_key` is no longer written. It stays for replicas of the previous release; the next one may drop it.
CREATE TABLE idempotency (
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    key text NOT NULL,
    fingerprint text NOT NULL,
    answer jsonb,
    written_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, user_id, key)
);
CREATE INDEX idempotency_age ON idempotency (written_at);

-- migrate: rollback
DROP TABLE idempotency;
