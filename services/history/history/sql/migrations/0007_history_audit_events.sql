-- Publish the entries of the audit trail, which job-api now keeps for all services, and drop its table.
-- depends: 0006_history_idempotency

-- migrate: apply
-- Each entry becomes audit.recorded v1, with an id derived from its row: job-api adds it once however often it arrives.
LOCK TABLE audit IN ACCESS EXCLUSIVE MODE;

-- The values before and after, and the actions' names, are as the release writes them now. The headers are packed as in
-- shared/outbox.py: NUL between name and value, a line feed between headers. Any shard will do, since entries have no order.
INSERT INTO outbox (shard, topic, key, value, headers)
SELECT abs(hashtext(tenant_id::text) % 8), 'sluice.audit', convert_to(tenant_id::text, 'UTF8'),
    convert_to(jsonb_build_object(
        'audit_id', event_id,
        'tenant_id', tenant_id,
        'service', 'history',
        'at', at_utc,
        'actor_id', user_id,
        'actor_name', name,
        'action', new_action,
        'object_kind', split_part(new_action, '.', 1),
        'object_id', object_id,
        'before', values_before,
        'after', values_after
    )::text, 'UTF8'),
    (SELECT string_agg(convert_to(header.name, 'UTF8') || '\x00'::bytea || convert_to(header.value, 'UTF8'), '\x0a'::bytea
            ORDER BY header.position)
        FROM (VALUES
            (1, 'ce_specversion', '1.0'),
            (2, 'ce_type', 'sluice.audit.recorded.v1'),
            (3, 'ce_source', '/sluice/history'),
            (4, 'ce_time', at_utc),
            (5, 'ce_dataschema', 'https://sluice.example/schemas/audit.recorded.v1.schema.json'),
            (6, 'content-type', 'application/json'),
            (7, 'ce_id', event_id::text),
            (8, 'ce_subject', tenant_id::text),
            (9, 'traceparent', '00-' || trace || '-' || substr(trace, 17) || '-01')
        ) AS header (position, name, value))
FROM (
    SELECT audit.*, coalesce(renamed.new_action, 'history.' || audit.action) AS new_action,
        encode(digest, 'hex')::uuid AS event_id, encode(digest, 'hex') AS trace,
        to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at_utc,
        CASE WHEN audit.action IN ('delete-file', 'cancel-run', 'remove-run')
                THEN jsonb_build_object('state', details -> 'before')
            WHEN audit.action = 'set-retention' THEN jsonb_build_object('days', details -> 'before')
        END AS values_before,
        CASE audit.action
            WHEN 'delete-file' THEN jsonb_build_object('state', details -> 'after')
            WHEN 'set-retention' THEN jsonb_build_object('days', details -> 'after')
            WHEN 'download' THEN details
            WHEN 'download-archive' THEN details
            WHEN 'make-link' THEN details
            WHEN 'cancel-run' THEN NULL
            WHEN 'remove-run' THEN NULL
            ELSE jsonb_build_object('details', details::text)
        END AS values_after
    FROM audit
    LEFT JOIN (VALUES
        ('download', 'artifact.download'),
        ('download-archive', 'artifact.download-archive'),
        ('make-link', 'artifact.link'),
        ('delete-file', 'artifact.delete'),
        ('cancel-run', 'run.cancel'),
        ('remove-run', 'run.remove'),
        ('set-retention', 'retention.edit')
    ) AS renamed (action, new_action) USING (action)
    CROSS JOIN LATERAL (SELECT substr(sha256(convert_to(concat_ws('|', 'history.audit', audit.id, audit.tenant_id,
        audit.object_id, extract(epoch FROM audit.at)), 'UTF8')), 1, 16) AS digest) AS identified
    ORDER BY audit.id
) AS entry;

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
