-- The scheduler's current schema. The numbered files in migrations/ lead to the same database.

-- The scheduler's only clock: a function, so that tests can step it.
CREATE FUNCTION ledger_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS 'SELECT clock_timestamp()';

-- The current version of each job, in force since `since`, and its first slot without a fate (NULL: none). Deleted jobs
-- stay, so that no older event restores them. Every decided slot updates a row, which costs least when the row's own page
-- has free space.
CREATE TABLE schedule (
    job_id uuid PRIMARY KEY WITH (fillfactor = 60),
    tenant_id uuid NOT NULL,
    version bigint NOT NULL,
    state text NOT NULL CHECK (state IN ('active', 'suspended')),
    kind text NOT NULL CHECK (kind IN ('once', 'hourly', 'daily', 'weekly', 'monthly')),
    start timestamptz NOT NULL,
    immediately boolean NOT NULL,
    every integer NOT NULL CHECK (every > 0),
    catch_up text NOT NULL CHECK (catch_up IN ('last', 'all', 'none')),
    overlap text NOT NULL CHECK (overlap IN ('skip', 'queue')),
    settings text NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz CHECK (until IS NULL),
    deleted boolean NOT NULL,
    next_slot timestamptz,
    awaits_resumption boolean NOT NULL GENERATED ALWAYS AS (state = 'suspended' AND NOT (kind = 'once' AND immediately))
        STORED,
    CHECK (next_slot IS NULL OR (next_slot >= since AND NOT deleted))
) WITH (fillfactor = 50);
-- Slots of suspended jobs are decided later than they are due, and must not be in the way of the others.
CREATE INDEX schedule_due ON schedule (next_slot) WHERE next_slot IS NOT NULL AND NOT awaits_resumption;
CREATE INDEX schedule_suspended ON schedule (next_slot) WHERE next_slot IS NOT NULL AND awaits_resumption;

-- Deleted jobs of which no version has arrived, so that an older version behind the deletion starts nothing; until the
-- tombstone arrives.
CREATE TABLE deleted_job (
    job_id uuid PRIMARY KEY,
    version bigint NOT NULL
);

-- Jobs that cannot be decided, so that they do not stop the others: after a failure a job is tried again at `retry_at`.
CREATE TABLE schedule_fault (
    job_id uuid PRIMARY KEY,
    failures integer NOT NULL,
    retry_at timestamptz NOT NULL,
    error text NOT NULL
);

-- Superseded versions. Those with open slots, all before `until`, have a `next_slot`. The others are kept for a day: the
-- auditor needs them, and so does an earlier version that catches up.
CREATE TABLE schedule_history (
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
CREATE INDEX schedule_history_next_slot ON schedule_history (next_slot) WHERE next_slot IS NOT NULL;
CREATE INDEX schedule_history_until ON schedule_history (until);

-- The slot ledger: every slot of every job once, with its one fate and the version of the job that decided it.
CREATE TABLE slot (
    job_id uuid NOT NULL,
    at timestamptz NOT NULL,
    run_id uuid NOT NULL,
    version bigint NOT NULL,
    fate text NOT NULL CHECK (fate IN ('triggered', 'skipped')),
    reason text NOT NULL CHECK (
        (fate = 'triggered' AND reason IN ('schedule', 'immediate', 'catch-up', 'run-now'))
        OR (fate = 'skipped' AND reason IN ('suspended', 'overlap', 'missed', 'ended'))
    ),
    decided_at timestamptz NOT NULL,
    PRIMARY KEY (job_id, at)
);
-- Rows are inserted in the order of this column, and only retention selects by it: a BRIN index costs next to nothing.
CREATE INDEX slot_decided_at ON slot USING brin (decided_at) WITH (pages_per_range = 32);

-- The auditor's position in its round over all jobs, from which any scheduler continues.
CREATE TABLE audit (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    after_job uuid,
    slots_from timestamptz NOT NULL,
    slots_to timestamptz NOT NULL,
    due_at timestamptz NOT NULL
);

-- Events, written in the transaction of the change that they report, until a relay has published them.
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY,
    shard smallint NOT NULL,
    topic text NOT NULL,
    key bytea NOT NULL,
    value bytea,
    headers bytea NOT NULL,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (shard, id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);
CREATE FUNCTION outbox_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify(current_schema() || '_outbox', '');
    RETURN NULL;
END $$;
CREATE TRIGGER outbox_notify AFTER INSERT ON outbox FOR EACH STATEMENT EXECUTE FUNCTION outbox_notify();

-- Rule S12, for every instant that a user gives or that follows from one.
ALTER TABLE schedule ADD CONSTRAINT schedule_instants CHECK (
        start BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
        AND since BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
        AND next_slot BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
    ) NOT VALID;
ALTER TABLE schedule_history ADD CONSTRAINT schedule_history_instants CHECK (
        start BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
        AND since BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
        AND until BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
        AND next_slot BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
    ) NOT VALID;
ALTER TABLE slot ADD CONSTRAINT slot_instants CHECK (
        at BETWEEN '1970-01-01 00:00:00+00' AND '2999-12-31 23:59:59.999999+00'
    ) NOT VALID;
