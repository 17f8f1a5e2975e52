-- Store users of an identity provider: they have no password here, and are found by issuer and subject.
-- depends: 0004_job_api_by_schedule

-- migrate: apply
ALTER TABLE app_user
    ADD COLUMN issuer text,
    DROP CONSTRAINT app_user_name_check,
    ADD CONSTRAINT app_user_name_check CHECK (length(name) BETWEEN 1 AND 255);
ALTER TABLE identity
    DROP CONSTRAINT identity_name_check,
    ADD CONSTRAINT identity_name_check CHECK (length(name) BETWEEN 1 AND 255);
DROP INDEX app_user_name;
CREATE UNIQUE INDEX app_user_name ON app_user (tenant_id, lower(name)) WHERE issuer IS NULL;
CREATE UNIQUE INDEX app_user_subject ON app_user (tenant_id, issuer, name) WHERE issuer IS NOT NULL;
CREATE INDEX app_user_listed ON app_user (tenant_id, lower(name), user_id);

-- migrate: rollback
DELETE FROM identity WHERE user_id IN (SELECT user_id FROM app_user WHERE issuer IS NOT NULL);
DELETE FROM app_user WHERE issuer IS NOT NULL;
DROP INDEX app_user_name, app_user_subject, app_user_listed;
CREATE UNIQUE INDEX app_user_name ON app_user (tenant_id, lower(name));
ALTER TABLE identity
    DROP CONSTRAINT identity_name_check,
    ADD CONSTRAINT identity_name_check CHECK (length(name) BETWEEN 1 AND 200);
ALTER TABLE app_user
    DROP COLUMN issuer,
    DROP CONSTRAINT app_user_name_check,
    ADD CONSTRAINT app_user_name_check CHECK (length(name) BETWEEN 1 AND 200);
