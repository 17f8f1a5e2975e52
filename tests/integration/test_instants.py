"""S12: the databases of all services hold instants within the bounds."""

import asyncpg
import pytest

from shared.postgres import migrate
from shared.provision import SCHEMAS
from tests.integration.test_schemas import provisioned
from tests.support.servers import Databases

GIVEN = {
    "job_api": {
        "identity.expires_at",
        "certificate.not_before",
        "certificate.not_after",
        "job.schedule_start",
        "job.next_run_at",
        "job.last_run_at",
        "run_view.slot",
    },
    "scheduler": {
        "schedule.start",
        "schedule.since",
        "schedule.next_slot",
        "schedule_history.start",
        "schedule_history.since",
        "schedule_history.until",
        "schedule_history.next_slot",
        "slot.at",
    },
    "exporter": {"run.slot", "run.window_start", "run.window_end", "delivery.slot"},
    "history": {"identity.expires_at", "run.slot", "run.window_start", "run.window_end", "link.expires_at"},
}
"""Instants that users give, or that follow from one."""
CLOCKS = {
    "job_api": {
        *("tenant.created_at", "app_user.created_at", "identity.created_at", "identity.revoked_at"),
        *(
            "certificate.created_at",
            "certificate.retired_at",
            "certificate.last_used_at",
            "job.created_at",
            "job.saved_at",
        ),
        *("job.last_run_key", "job.next_run_key", "run_view.started_at", "run_view.ended_at", "run_view.estimated_at"),
        *("destination.created_at", "destination.saved_at", "destination.test_requested_at"),
        *("destination.test_ended_at", "destination.tested_at"),
        *("audit.at", "deletion.deleted_at", "deletion.announced_at", "idempotency.written_at", "throttle.at"),
        *("draft.written_at", "outbox.written_at"),
    },
    "scheduler": {
        *("schedule.until", "schedule_fault.retry_at", "slot.decided_at", "audit.slots_from", "audit.slots_to"),
        *("audit.due_at", "outbox.written_at"),
    },
    "exporter": {
        *("job.complete_through", "run.queued_at", "run.not_before", "run.lease_until", "run.ended_at", "run.sweep_at"),
        *("slice.lease_until", "early_cancel.received_at", "outbox.written_at", "destination.not_before"),
        *("delivery.created_at", "delivery.not_before", "delivery.give_up_at", "delivery.requested_at"),
        *("delivery.ended_at", "delivered_object.verified_at"),
        *("destination_test.received_at", "destination_test.not_before", "destination_test.ended_at"),
    },
    "history": {
        *("run.created_at", "run.removed_at", "run.fate_at", "run.first_at", "run.queued_at", "run.started_at"),
        *("run.attempt_started_at", "run.ended_at", "run.retry_at", "run.data_complete_through", "run.progress_at"),
        *(
            "run.estimated_at",
            "run_event.at",
            "part.at",
            "artifact.created_at",
            "artifact.removed_at",
            "artifact.removal_retry_at",
        ),
        *("delivery.slot", "delivery.created_at", "delivery.started_at", "delivery.ended_at", "delivery.retry_at"),
        *("delivery.give_up_at", "delivery_event.at", "delivered_file.at", "artifact.delivered_until"),
        *("artifact.downloaded_at", "estimate_state.stored_at", "estimate_score.scored_at", "idempotency.written_at"),
        "outbox.written_at",
    },
}
"""Instants that a clock gives, or a codec has checked: an event with one out of bounds is refused."""
COLUMNS = """
SELECT c.table_name || '.' || column_name AS name
FROM information_schema.columns AS c JOIN information_schema.tables AS t USING (table_schema, table_name)
WHERE table_schema = $1 AND data_type = 'timestamp with time zone' AND table_type = 'BASE TABLE'
"""


@pytest.mark.parametrize("service", SCHEMAS)
async def test_S12_every_given_instant_is_held_within_its_bounds(postgres: Databases, service: str) -> None:
    dsn = await provisioned(postgres, service)
    await migrate(dsn, service)
    connection = await asyncpg.connect(dsn)
    try:
        found = {row["name"] for row in await connection.fetch(COLUMNS, service)}
        assert found == GIVEN[service] | CLOCKS[service], "a new column: does a user give it, or a clock?"
        for name in sorted(GIVEN[service]):
            table, _, column = name.partition(".")
            for value in ("1969-12-31 23:59:59.999999+00", "3000-01-01 00:00:00+00", "-infinity", "infinity"):
                assert await find_violation(connection, table, column, value) == f"{table}_instants", (name, value)
            for value in ("1970-01-01 00:00:00+00", "2999-12-31 23:59:59.999999+00"):
                assert await find_violation(connection, table, column, value) != f"{table}_instants", (name, value)
    finally:
        await connection.close()


async def find_violation(
    connection: "asyncpg.Connection[asyncpg.Record]", table: str, column: str, value: str
) -> str | None:
    """Return the constraint that refuses a row with just this value, in a copy of the table without other demands."""
    await connection.execute("DROP TABLE IF EXISTS copy")
    await connection.execute(f"CREATE TEMPORARY TABLE copy (LIKE {table} INCLUDING CONSTRAINTS)")
    needed = await connection.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'pg_temp.copy'::regclass AND attnum > 0 AND attnotnull"
    )
    for each in needed:
        await connection.execute(f'ALTER TABLE copy ALTER COLUMN "{each["attname"]}" DROP NOT NULL')
    others = await connection.fetch(
        "SELECT conname FROM pg_constraint WHERE conrelid = 'pg_temp.copy'::regclass AND conname <> $1",
        f"{table}_instants",
    )
    for each in others:
        await connection.execute(f'ALTER TABLE copy DROP CONSTRAINT "{each["conname"]}"')
    try:
        await connection.execute(f"INSERT INTO copy ({column}) VALUES ('{value}')")
    except asyncpg.CheckViolationError as error:
        return error.constraint_name
    return None
