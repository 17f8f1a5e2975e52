-- Removes everything of one tenant from the schemas of the four services, in one transaction. Run by an administrator:
--
--   psql "$ADMIN_DSN" -v ON_ERROR_STOP=1 -v tenant=<tenant id> -f deploy/erase-tenant.sql
--
-- First delete its jobs and files through the API, so that every service and Kafka's compacted topics receive the
-- deletion. See "Erase one tenant" in OPERATIONS.md.
BEGIN;

CREATE TEMPORARY TABLE erased (tenant_id uuid NOT NULL) ON COMMIT DROP;
INSERT INTO erased VALUES (:'tenant');
CREATE TEMPORARY TABLE erased_job ON COMMIT DROP AS
    SELECT job_id FROM job_api.job WHERE tenant_id = (SELECT tenant_id FROM erased)
    UNION SELECT job_id FROM scheduler.schedule WHERE tenant_id = (SELECT tenant_id FROM erased)
    UNION SELECT job_id FROM exporter.run WHERE tenant_id = (SELECT tenant_id FROM erased)
    UNION SELECT job_id FROM history.job WHERE tenant_id = (SELECT tenant_id FROM erased)
    UNION SELECT job_id FROM history.run WHERE tenant_id = (SELECT tenant_id FROM erased);
CREATE TEMPORARY TABLE erased_run ON COMMIT DROP AS
    SELECT run_id FROM exporter.run WHERE tenant_id = (SELECT tenant_id FROM erased)
    UNION SELECT run_id FROM history.run WHERE tenant_id = (SELECT tenant_id FROM erased);

DELETE FROM history.link WHERE tenant_id = (SELECT tenant_id FROM erased);
DELETE FROM history.idempotency WHERE tenant_id = (SELECT tenant_id FROM erased);
DELETE FROM history.retention WHERE tenant_id = (SELECT tenant_id FROM erased);
DELETE FROM history.delivered_file WHERE delivery_id IN
    (SELECT delivery_id FROM history.delivery WHERE tenant_id = (SELECT tenant_id FROM erased));
DELETE FROM history.delivery_event WHERE delivery_id IN
    (SELECT delivery_id FROM history.delivery WHERE tenant_id = (SELECT tenant_id FROM erased));
DELETE FROM history.delivery WHERE tenant_id = (SELECT tenant_id FROM erased);
DELETE FROM history.estimate_score WHERE tenant_id = (SELECT tenant_id FROM erased);
DELETE FROM history.estimate_state WHERE run_id IN (SELECT run_id FROM erased_run);
DELETE FROM history.artifact WHERE tenant_id = (SELECT tenant_id FROM erased);
DELETE FROM history.part WHERE run_id IN (SELECT run_id FROM erased_run);
DELETE FROM history.run_event WHERE run_id IN (SELECT run_id FROM erased_run);
DELETE FROM history.run WHERE tenant_id = (SELECT tenant_id FROM erased);
DELETE FROM history.job WHERE tenant_id = (SELECT tenant_id FROM erased);
DELETE FROM history.identity WHERE tenant_id = (SELECT tenant_id FROM erased);

DELETE FROM exporter.delivered_object WHERE delivery_id IN
    (SELECT delivery_id FROM exporter.delivery WHERE tenant_id = (SELECT tenant_id FROM erased));
DELETE FROM exporter.delivery WHERE tenant_id = (SELECT tenant_id FROM erased);
DELETE FROM exporter.destination_test WHERE tenant_id = (SELECT tenant_id FROM erased);
DELETE FROM exporter.destination WHERE tenant_id = (SELECT tenant_id FROM erased);
DELETE FROM exporter.part WHERE run_id IN (SELECT run_id FROM erased_run);
DELETE FROM exporter.slice WHERE run_id IN (SELECT run_id FROM erased_run);
DELETE FROM exporter.early_cancel WHERE run_id IN (SELECT run_id FROM erased_run);
DELETE FROM exporter.run WHERE tenant_id = (SELECT tenant_id FROM erased);
DELETE FROM exporter.job WHERE job_id IN (SELECT job_id FROM erased_job);
DELETE FROM exporter.source_number WHERE tenant_id = (SELECT tenant_id FROM erased);
DELETE FROM exporter.certificate WHERE tenant_id = (SELECT tenant_id FROM erased);

DELETE FROM scheduler.slot WHERE job_id IN (SELECT job_id FROM erased_job);
DELETE FROM scheduler.schedule_fault WHERE job_id IN (SELECT job_id FROM erased_job);
DELETE FROM scheduler.deleted_job WHERE job_id IN (SELECT job_id FROM erased_job);
DELETE FROM scheduler.schedule_history WHERE tenant_id = (SELECT tenant_id FROM erased);
DELETE FROM scheduler.schedule WHERE tenant_id = (SELECT tenant_id FROM erased);

-- job-api announces these deletions within ten minutes, so that topics and services forget them as well. What they say
-- of the tenant is erased at once.
INSERT INTO job_api.deletion (object_id, kind, tenant_id, version, deleted_at)
    SELECT job_id, 'job', tenant_id, version + 1, now() FROM job_api.job WHERE tenant_id = (SELECT tenant_id FROM erased)
    UNION ALL SELECT certificate_id, 'certificate', tenant_id, version + 1, now()
        FROM job_api.certificate WHERE tenant_id = (SELECT tenant_id FROM erased)
    UNION ALL SELECT destination_id, 'destination', tenant_id, version + 1, now()
        FROM job_api.destination WHERE tenant_id = (SELECT tenant_id FROM erased)
    UNION ALL SELECT identity_id, 'identity', tenant_id, version + 1, now()
        FROM job_api.identity WHERE tenant_id = (SELECT tenant_id FROM erased)
    UNION ALL SELECT user_id, 'identity', tenant_id, version + 1, now()
        FROM job_api.app_user WHERE issuer IS NOT NULL AND tenant_id = (SELECT tenant_id FROM erased)
    ON CONFLICT DO NOTHING;
UPDATE job_api.deletion SET tenant_id = '00000000-0000-0000-0000-000000000000'
    WHERE tenant_id = (SELECT tenant_id FROM erased);

DELETE FROM job_api.run_view WHERE tenant_id = (SELECT tenant_id FROM erased);
DELETE FROM job_api.idempotency WHERE tenant_id = (SELECT tenant_id FROM erased);
DELETE FROM job_api.draft WHERE tenant_id = (SELECT tenant_id FROM erased);
DELETE FROM job_api.audit WHERE tenant_id = (SELECT tenant_id FROM erased);
DELETE FROM job_api.job WHERE tenant_id = (SELECT tenant_id FROM erased);
DELETE FROM job_api.destination WHERE tenant_id = (SELECT tenant_id FROM erased);
DELETE FROM job_api.certificate WHERE tenant_id = (SELECT tenant_id FROM erased);
DELETE FROM job_api.identity WHERE tenant_id = (SELECT tenant_id FROM erased);
DELETE FROM job_api.app_user WHERE tenant_id = (SELECT tenant_id FROM erased);
DELETE FROM job_api.tenant WHERE tenant_id = (SELECT tenant_id FROM erased);

COMMIT;
