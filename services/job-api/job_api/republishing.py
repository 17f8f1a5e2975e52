"""Publishes again everything that the other services need, for a Kafka cluster that has lost its topics."""

from collections.abc import Callable, Mapping
from uuid import UUID

from job_api.service.subjects import to_identity_event
from job_api.store import ALL_TENANTS, Database
from job_api.store.certificates import Certificate
from job_api.store.database import SERVICE, SQL
from job_api.store.deletions import to_deletion
from job_api.store.destinations import to_destination
from job_api.store.identities import Credential, User
from job_api.store.jobs import to_job
from shared import outbox
from shared.clock import Clock
from shared.events import Event
from shared.kafka.handling import describe_error
from shared.observe import get_logger
from shared.postgres import Record

log = get_logger(__name__)

BATCH = 500
ToEvent = Callable[[Record], Event]


def _to_credential_event(row: Record) -> Event:
    return Credential(**{**row, "roles": tuple(row["roles"])}).to_event()


def _to_subject_event(row: Record) -> Event:
    return to_identity_event(User(**{**row, "roles": tuple(row["roles"])}))


# For each kind, its query and the event of a row; the first column is the id by which batches proceed.
_KINDS: Mapping[str, tuple[str, ToEvent]] = {
    "certificates": ("every_certificate", lambda row: Certificate(**row).to_event()),
    "identities": ("every_identity", _to_credential_event),
    "subjects": ("every_subject", _to_subject_event),
    "destinations": ("every_destination", lambda row: to_destination(row).to_event()),
    "jobs": ("every_job", lambda row: to_job(row).to_event()),
    "deletions": ("every_deletion", lambda row: to_deletion(row).to_event()),
}


async def republish_all(database: Database, clock: Clock, *, batch: int = BATCH) -> dict[str, int]:
    """Write what `sluice.jobs`, `.certificates`, `.identities` and `.destinations` should hold into the outbox.

    Return the number of events by kind. It may run at any time, and again: consumers ignore versions that they know.
    The processes that serve the API publish what was written. Raises PostgresUnavailable.
    """
    return {
        kind: await _republish_kind(database, clock, query, to_event=to_event, batch=batch)
        for kind, (query, to_event) in _KINDS.items()
    }


async def _republish_kind(database: Database, clock: Clock, query: str, *, to_event: ToEvent, batch: int) -> int:
    count, after = 0, UUID(int=0)
    while True:
        # Each row is locked until its event is in the outbox: no newer version can get there first, and a compacted
        # topic keeps the last message.
        async with database.transaction(ALL_TENANTS) as connection:
            rows = await connection.fetch(SQL[query], after, batch)
            found = [event for row in rows if (event := _try_event(row, to_event)) is not None]
            await outbox.write(connection, found, source=SERVICE, at=clock.now())
        count += len(found)
        if len(rows) < batch:
            return count
        after = rows[-1][0]


def _try_event(row: Record, to_event: ToEvent) -> Event | None:
    """Return the event of a row, or None for one that cannot be published: it must not keep the others from it."""
    try:
        return to_event(row)
    except (ValueError, TypeError, KeyError) as error:
        log.error("not published: the row is damaged", id=str(row[0]), error=describe_error(error))  # noqa: TRY400
        return None
