-- The scheduler's whole schema as it is today. The numbered files in migrations/ lead to the same database.

-- The only clock of the scheduler. A function of our own, so that a test can step it.
CREATE FUNCTION ledger_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS 'SELECT clock_timestamp()';

-- Each job as job-api last told it, and the first slot that has no fate yet (NULL: there is none).
CREATE TABLE schedule (
    job_id uuid PRIMARY KEY,
    version bigint NOT NULL,
    spec jsonb NOT NULL,
    next_slot timestamptz,
    decided_until timestamptz NOT NULL,
    deleted boolean NOT NULL DEFAULT false,
    CHECK (next_slot IS NULL OR (next_slot > decided_until AND NOT deleted))
);
CREATE INDEX schedule_next_slot ON schedule (next_slot) WHERE next_slot IS NOT NULL;

-- The slot ledger: every slot of every job, once, with its one fate.
CREATE TABLE slot (
    job_id uuid NOT NULL,
    at timestamptz NOT NULL,
    run_id uuid NOT NULL,
    fate text NOT NULL CHECK (fate IN ('triggered', 'skipped')),
    reason text NOT NULL CHECK (
        (fate = 'triggered' AND reason IN ('schedule', 'immediate', 'catch-up', 'run-now'))
        OR (fate = 'skipped' AND reason IN ('suspended', 'overlap', 'missed', 'ended'))
    ),
    decided_at timestamptz NOT NULL,
    PRIMARY KEY (job_id, at)
);
CREATE INDEX slot_decided_at ON slot (decided_at);

-- Events written with the change that they tell, until a relay has published them.
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shard smallint NOT NULL,
    topic text NOT NULL,
    key bytea NOT NULL,
    value bytea,
    headers bytea NOT NULL,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX outbox_shard ON outbox (shard, id);
CREATE FUNCTION outbox_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify(current_schema() || '_outbox', '');
    RETURN NULL;
END $$;
CREATE TRIGGER outbox_notify AFTER INSERT ON outbox FOR EACH STATEMENT EXECUTE FUNCTION outbox_notify();
