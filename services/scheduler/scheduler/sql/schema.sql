-- The scheduler's whole schema as it is today. The numbered files in migrations/ lead to the same database.

-- The only clock of the scheduler. A function of our own, so that a test can step it.
CREATE FUNCTION ledger_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS 'SELECT clock_timestamp()';

-- Each job as job-api last told it: the version that rules since `since`, and its first slot that has no fate yet
-- (NULL: there is none). A deleted job stays, so that nothing older brings it back. Every slot rewrites a row, and it
-- costs least where there is room for it on the row's own page.
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
    CHECK (next_slot IS NULL OR (next_slot >= since AND NOT deleted))
) WITH (fillfactor = 50);
CREATE INDEX schedule_next_slot ON schedule (next_slot) WHERE next_slot IS NOT NULL;

-- Versions that rule no longer. Those with slots without a fate, all before `until`, have a `next_slot`; the others are
-- kept for a day, as what was in force then is asked for: by the auditor, and where an older one catches up.
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

-- The slot ledger: every slot of every job, once, with its one fate, and the version of the job that it fell under.
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
-- Rows come in the order of this column, and only retention asks by it: an index of ranges costs next to nothing.
CREATE INDEX slot_decided_at ON slot USING brin (decided_at) WITH (pages_per_range = 32);

-- Where the auditor stands in its round over all jobs, for whichever scheduler does the next piece of it.
CREATE TABLE audit (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    after_job uuid,
    slots_from timestamptz NOT NULL,
    slots_to timestamptz NOT NULL,
    due_at timestamptz NOT NULL
);

-- Events written with the change that they tell, until a relay has published them.
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
