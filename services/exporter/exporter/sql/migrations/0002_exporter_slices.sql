-- Slices, so that several exporters can share a large run and a takeover continues from the finished parts.
-- depends: 0001_exporter_initial

-- migrate: apply
ALTER TABLE run ADD COLUMN certificates text[], ADD COLUMN snapshot text, ADD COLUMN sweep_at timestamptz;
CREATE INDEX run_sweep ON run (sweep_at) WHERE sweep_at IS NOT NULL;

CREATE TABLE slice (
    run_id uuid NOT NULL REFERENCES run,
    kind text NOT NULL,
    number integer NOT NULL,
    key_first text,
    key_before text,
    rows_expected bigint,
    snapshot text NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done')),
    token bigint NOT NULL DEFAULT 0,
    exporter text,
    lease_until timestamptz,
    rows_done bigint NOT NULL DEFAULT 0,
    bytes_done bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (run_id, kind, number),
    CHECK (state = 'running' OR lease_until IS NULL),
    CHECK (state <> 'done' OR rows_expected IS NOT NULL)
);
CREATE INDEX slice_open ON slice (run_id) WHERE state <> 'done';

ALTER TABLE part
    ADD COLUMN slice integer NOT NULL DEFAULT 1,
    ADD COLUMN last_key text,
    ADD COLUMN snapshot text,
    ALTER COLUMN name DROP NOT NULL,
    DROP CONSTRAINT part_pkey,
    ADD PRIMARY KEY (run_id, kind, slice, number);

CREATE TRIGGER run_shared AFTER UPDATE OF snapshot ON run FOR EACH ROW
    WHEN (OLD.snapshot IS DISTINCT FROM NEW.snapshot) EXECUTE FUNCTION run_notify('work');
CREATE TRIGGER slice_moved AFTER UPDATE OF state ON slice FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION run_notify('work');

-- migrate: rollback
DROP TRIGGER run_shared ON run;
DROP TABLE slice;
ALTER TABLE run DROP COLUMN certificates, DROP COLUMN snapshot, DROP COLUMN sweep_at;
DELETE FROM part WHERE slice > 1;
ALTER TABLE part DROP CONSTRAINT part_pkey, DROP COLUMN slice, DROP COLUMN last_key, DROP COLUMN snapshot,
    ADD PRIMARY KEY (run_id, kind, number);
