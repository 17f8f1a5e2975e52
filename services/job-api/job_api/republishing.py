"""Tells the other services everything anew, for a Kafka that has lost its topics."""

from collections.abc import Callable, Mapping
from uuid import UUID

from job_api.service.subjects import standing
from job_api.store import EVERYBODY, Database
from job_api.store.certificates import Certificate
from job_api.store.database import SOURCE, SQL
from job_api.store.identities import Credential, User
from job_api.store.jobs import to_job
from shared import outbox
from shared.clock import Clock
from shared.events import Event, JobDeleted
from shared.postgres import Record

BATCH = 500
Tell = Callable[[Record], Event]


def _identity(row: Record) -> Event:
    return Credential(**{**row, "roles": tuple(row["roles"])}).to_event()


def _subject(row: Record) -> Event:
    return standing(User(**{**row, "roles": tuple(row["roles"])}))


# What each query's rows are told as; the first column is the id that the batches go by.
_EVERYTHING: Mapping[str, tuple[str, Tell]] = {
    "certificates": ("every_certificate", lambda row: Certificate(**row).to_event()),
    "identities": ("every_identity", _identity),
    "subjects": ("every_subject", _subject),
    "jobs": ("every_job", lambda row: to_job(row).to_event()),
    "deleted_jobs": ("every_deleted_job", lambda row: JobDeleted(job_id=row["object_id"])),
}


async def republish_all(database: Database, clock: Clock, *, batch: int = BATCH) -> dict[str, int]:
    """Write all that `sluice.jobs`, `.certificates` and `.identities` ought to hold into the outbox; return the counts.

    It may run at any time and again: consumers pass over versions that they know. The processes that serve the API
    publish what was written.
    """
    return {kind: await _tell_all(database, clock, query, tell, batch) for kind, (query, tell) in _EVERYTHING.items()}


async def _tell_all(database: Database, clock: Clock, query: str, tell: Tell, batch: int) -> int:
    count, after = 0, UUID(int=0)
    while True:
        # Each row is locked until its event is in the outbox: no newer version of it can get there first, and a
        # compacted topic keeps what came last.
        async with database.changing(EVERYBODY) as connection:
            rows = await connection.fetch(SQL[query], after, batch)
            await outbox.write(connection, [tell(row) for row in rows], source=SOURCE, at=clock.now())
        count += len(rows)
        if len(rows) < batch:
            return count
        after = rows[-1][0]
