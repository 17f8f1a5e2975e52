-- Instants that users give lie between 1970 and 2999; rows that were there before are not checked until they change.
-- depends: 0005_exporter_source_numbers

-- migrate: apply
ALTER TABLE run ADD CONSTRAINT run_instants CHECK (
        slot BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
        AND window_start BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
        AND window_end BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
    ) NOT VALID;

-- migrate: rollback
ALTER TABLE run DROP CONSTRAINT run_instants;
