-- The scope 'all' is for the roles that serve every tenant; the role of requests cannot choose it, nor read the outbox.
-- depends: 0014_job_api_destinations

-- migrate: apply
CREATE OR REPLACE FUNCTION in_scope(tenant uuid) RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL SAFE AS
$$ BEGIN
    RETURN tenant::text = current_setting('job_api.scope', true)
        OR (current_setting('job_api.scope', true) = 'all' AND current_user IN ('job_api_system', 'sluice_owner'));
END $$;
-- Its rows are of all tenants, and a request only adds to them.
REVOKE SELECT, UPDATE, DELETE ON outbox FROM job_api;

-- migrate: rollback
CREATE OR REPLACE FUNCTION in_scope(tenant uuid) RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL SAFE AS
$$ BEGIN
    RETURN tenant::text = current_setting('job_api.scope', true) OR current_setting('job_api.scope', true) = 'all';
END $$;
GRANT SELECT, UPDATE, DELETE ON outbox TO job_api;
