-- Links by the Idempotency-Key under which they were requested.
-- depends: 0003_history_lists

-- migrate: apply
ALTER TABLE link ADD COLUMN request_key text;
CREATE UNIQUE INDEX link_request ON link (tenant_id, user_id, request_key);

-- migrate: rollback
DROP INDEX link_request;
ALTER TABLE link DROP COLUMN request_key;
