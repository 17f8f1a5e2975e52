-- Links that are asked for again under the same Idempotency-Key.
-- depends: 0003_history_lists

-- migrate: apply
ALTER TABLE link ADD COLUMN request_key text;
CREATE UNIQUE INDEX link_request ON link (tenant_id, user_id, request_key);

-- migrate: rollback
DROP INDEX link_request;
ALTER TABLE link DROP COLUMN request_key;
