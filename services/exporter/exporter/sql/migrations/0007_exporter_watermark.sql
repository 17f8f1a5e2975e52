-- A window of since_last_run whose end is not certain says why; and a standby must have replayed a position before it is read.
-- depends: 0006_exporter_instants

-- migrate: apply
ALTER TABLE run ADD COLUMN window_note text, ADD COLUMN window_position text;

-- migrate: rollback
ALTER TABLE run DROP COLUMN window_note, DROP COLUMN window_position;
