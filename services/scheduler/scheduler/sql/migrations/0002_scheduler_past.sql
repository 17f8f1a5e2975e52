-- All superseded versions are kept for a day; one index less on the outbox; free space for updates.
-- depends: 0001_scheduler_initial

-- migrate: apply
-- Superseded versions. Those with open slots, all before `until`, have a `next_slot`. The others are kept for a day: the
-- auditor needs them, and so does an earlier version that catches up.
CREATE TABLE past (
    job_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    version bigint NOT NULL,
    state text NOT NULL,
    kind text NOT NULL,
    start timestamptz NOT NULL,
    immediately boolean NOT NULL,
    every integer NOT NULL,
    catch_up text NOT NULL,
    overlap text NOT NULL,
    settings text NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz NOT NULL,
    deleted boolean NOT NULL,
    next_slot timestamptz CHECK (next_slot >= since AND next_slot < until),
    PRIMARY KEY (job_id, version)
);
CREATE INDEX past_next_slot ON past (next_slot) WHERE next_slot IS NOT NULL;
CREATE INDEX past_until ON past (until);

INSERT INTO past SELECT * FROM unsettled;
DROP TABLE unsettled;

-- For new rows and pages.
ALTER TABLE schedule SET (fillfactor = 50);
ALTER INDEX schedule_pkey SET (fillfactor = 60);

ALTER TABLE outbox DROP CONSTRAINT outbox_pkey;
DROP INDEX outbox_shard;
ALTER TABLE outbox ADD PRIMARY KEY (shard, id);
-- Published rows are deleted: vacuum often, so that dead entries do not fill the index.
ALTER TABLE outbox SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);

-- migrate: rollback
ALTER INDEX schedule_pkey RESET (fillfactor);
ALTER TABLE schedule RESET (fillfactor);
ALTER TABLE outbox RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold);
ALTER TABLE outbox DROP CONSTRAINT outbox_pkey;
ALTER TABLE outbox ADD PRIMARY KEY (id);
CREATE INDEX outbox_shard ON outbox (shard, id);

CREATE TABLE unsettled (
    job_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    version bigint NOT NULL,
    state text NOT NULL,
    kind text NOT NULL,
    start timestamptz NOT NULL,
    immediately boolean NOT NULL,
    every integer NOT NULL,
    catch_up text NOT NULL,
    overlap text NOT NULL,
    settings text NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz NOT NULL,
    deleted boolean NOT NULL,
    next_slot timestamptz NOT NULL CHECK (next_slot >= since AND next_slot < until),
    PRIMARY KEY (job_id, version)
);
CREATE INDEX unsettled_next_slot ON unsettled (next_slot);
INSERT INTO unsettled SELECT * FROM past WHERE next_slot IS NOT NULL;
DROP TABLE past;
