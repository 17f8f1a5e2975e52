-- The table of superseded versions gets the name of what it holds.
-- depends: 0002_scheduler_past

-- migrate: apply
ALTER TABLE past RENAME TO schedule_history;
ALTER INDEX past_next_slot RENAME TO schedule_history_next_slot;
ALTER INDEX past_until RENAME TO schedule_history_until;
-- PostgreSQL 18 names NOT NULL constraints as well; earlier versions do not.
DO $$
DECLARE
    old text;
BEGIN
    FOR old IN SELECT conname FROM pg_constraint WHERE conrelid = 'schedule_history'::regclass AND conname LIKE 'past\_%'
    LOOP
        EXECUTE format(
            'ALTER TABLE schedule_history RENAME CONSTRAINT %I TO %I', old, 'schedule_history' || substr(old, 5));
    END LOOP;
END $$;

-- migrate: rollback
DO $$
DECLARE
    old text;
BEGIN
    FOR old IN
        SELECT conname FROM pg_constraint
        WHERE conrelid = 'schedule_history'::regclass AND conname LIKE 'schedule\_history\_%'
    LOOP
        EXECUTE format('ALTER TABLE schedule_history RENAME CONSTRAINT %I TO %I', old, 'past' || substr(old, 17));
    END LOOP;
END $$;
ALTER INDEX schedule_history_until RENAME TO past_until;
ALTER INDEX schedule_history_next_slot RENAME TO past_next_slot;
ALTER TABLE schedule_history RENAME TO past;
