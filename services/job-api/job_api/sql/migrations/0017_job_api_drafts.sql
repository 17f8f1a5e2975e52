-- Keep what users have typed in the editor of jobs and not yet saved.
-- depends: 0016_job_api_certificate_use

-- migrate: apply
CREATE TABLE draft (
    tenant_id uuid NOT NULL REFERENCES tenant,
    user_id uuid NOT NULL,
    draft_id uuid NOT NULL,
    job_id uuid,
    title text NOT NULL,
    content jsonb NOT NULL,
    saved_as uuid,
    written_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, user_id, draft_id)
);
CREATE INDEX draft_age ON draft (written_at);
ALTER TABLE draft ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON draft USING (in_scope(tenant_id));

-- migrate: rollback
DROP TABLE draft;
