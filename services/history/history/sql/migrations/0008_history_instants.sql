-- Instants that users give lie between 1970 and 2999; rows that were there before are not checked until they change.
-- depends: 0007_history_audit_events

-- migrate: apply
ALTER TABLE identity ADD CONSTRAINT identity_instants CHECK (
        expires_at BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
    ) NOT VALID;
ALTER TABLE run ADD CONSTRAINT run_instants CHECK (
        slot BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
        AND window_start BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
        AND window_end BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
    ) NOT VALID;
ALTER TABLE link ADD CONSTRAINT link_instants CHECK (
        expires_at BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
    ) NOT VALID;

-- migrate: rollback
ALTER TABLE identity DROP CONSTRAINT identity_instants;
ALTER TABLE run DROP CONSTRAINT run_instants;
ALTER TABLE link DROP CONSTRAINT link_instants;
