-- Why a run's slot was due, which run.succeeded states from version 2 on; NULL for runs admitted before.
-- depends: 0002_exporter_slices

-- migrate: apply
ALTER TABLE run ADD COLUMN cause text;

-- migrate: rollback
ALTER TABLE run DROP COLUMN cause;
