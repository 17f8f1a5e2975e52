-- No two tenants have the same number in the source: each would export the other's records.
-- depends: 0008_job_api_audit_services

-- migrate: apply
DO $$
DECLARE
    clashes text;
BEGIN
    PERFORM set_config('job_api.scope', 'all', true);
    SELECT string_agg(format('number %s: %s', source_tenant, tenants), '; ' ORDER BY source_tenant)
    INTO clashes
    FROM (
        SELECT source_tenant, string_agg(format('%s (%s)', name, tenant_id), ', ' ORDER BY created_at) AS tenants
        FROM tenant GROUP BY source_tenant HAVING count(*) > 1
    ) AS shared_number;
    IF clashes IS NOT NULL THEN
        RAISE EXCEPTION
            'several tenants have the same number in the source, and can export each other''s records: %. Correct the '
            'column source_tenant of all but the right one (see "Tenants with the same number" in deploy/OPERATIONS.md), '
            'then migrate again', clashes;
    END IF;
END $$;
ALTER TABLE tenant ADD CONSTRAINT tenant_source_number UNIQUE (source_tenant);

-- migrate: rollback
ALTER TABLE tenant DROP CONSTRAINT tenant_source_number;
