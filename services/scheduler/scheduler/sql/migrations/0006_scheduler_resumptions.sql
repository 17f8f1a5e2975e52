-- Leave slots of suspended jobs open for a while, and keep them out of the way of the others.
-- depends: 0005_scheduler_instants

-- migrate: apply
ALTER TABLE schedule ADD COLUMN awaits_resumption boolean NOT NULL
    GENERATED ALWAYS AS (state = 'suspended' AND NOT (kind = 'once' AND immediately)) STORED;
CREATE INDEX schedule_due ON schedule (next_slot) WHERE next_slot IS NOT NULL AND NOT awaits_resumption;
CREATE INDEX schedule_suspended ON schedule (next_slot) WHERE next_slot IS NOT NULL AND awaits_resumption;
DROP INDEX schedule_next_slot;

-- migrate: rollback
CREATE INDEX schedule_next_slot ON schedule (next_slot) WHERE next_slot IS NOT NULL;
ALTER TABLE schedule DROP COLUMN awaits_resumption;
