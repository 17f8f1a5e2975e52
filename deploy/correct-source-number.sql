-- Corrects the number that a tenant's rows bear in the source. Run by an administrator while no run of the tenant is open:
--
--   psql "$ADMIN_DSN" -v ON_ERROR_STOP=1 -v tenant=<tenant id> -v number=<right number> -f deploy/correct-source-number.sql
--
-- Then `python -m job_api republish` publishes the tenant's jobs with the right number. See "Correct a source number" in
-- OPERATIONS.md.
BEGIN;

UPDATE job_api.tenant SET source_tenant = :'number'::integer WHERE tenant_id = :'tenant';
UPDATE job_api.job
SET settings = jsonb_set(settings, '{source_tenant}', to_jsonb(:'number'::integer)), version = version + 1
WHERE tenant_id = :'tenant';

-- Missing until the exporter's schema is up to date.
SELECT to_regclass('exporter.source_number') IS NOT NULL AS has_numbers \gset
\if :has_numbers
DELETE FROM exporter.source_number WHERE tenant_id = :'tenant';
\endif

COMMIT;
