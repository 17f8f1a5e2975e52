"""The destinations of a tenant."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import TypeAdapter

from job_api.domain.drafts import TenantDestination
from job_api.errors import NotFound
from job_api.store.database import SQL
from job_api.store.deletions import Deletion
from job_api.store.lists import DESTINATIONS
from shared.events import DestinationAddress, DestinationSaved, DestinationTested, SealedCredentials
from shared.events.values import DestinationKind, DestinationState, DestinationTestStep
from shared.http.lists import Page, PageRequest
from shared.postgres import Connection, Record

_ADDRESS = TypeAdapter(DestinationAddress)


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationReport:
    """What a test of a destination found; `host_key` is the key that an SFTP server presented."""

    passed: bool
    steps: tuple[DestinationTestStep, ...]
    host_key: str | None
    fingerprint: str | None


_REPORT = TypeAdapter(DestinationReport)


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationTest:
    """The latest test of a destination; `ended_at` and `report` are None until its result arrives."""

    test_id: UUID
    requested_at: datetime
    ended_at: datetime | None = None
    report: DestinationReport | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A tenant's own storage. `tested_at` is when a test last passed with this address and these credentials."""

    destination_id: UUID
    tenant_id: UUID
    version: int
    name: str
    kind: DestinationKind
    state: DestinationState
    address: DestinationAddress
    credentials: SealedCredentials = field(repr=False)
    created_at: datetime
    saved_at: datetime
    test: DestinationTest | None = None
    tested_at: datetime | None = None

    @property
    def test_state(self) -> Literal["untested", "passed", "failed"]:
        """How the latest test with this address and these credentials ended, by the same rule as the list's filter."""
        report = self.test.report if self.test is not None else None
        if self.tested_at is not None and (report is None or report.passed):
            return "passed"
        return "untested" if report is None else "failed"

    def to_event(self) -> DestinationSaved:
        """Return the event that publishes this version to the deliverers."""
        return DestinationSaved(
            destination_id=self.destination_id,
            tenant_id=self.tenant_id,
            version=self.version,
            name=self.name,
            kind=self.kind,
            state=self.state,
            address=self.address,
            credentials=self.credentials,
            saved_at=self.saved_at,
        )


@dataclass(frozen=True, slots=True)
class JobReference:
    """A job by its id and title."""

    job_id: UUID
    title: str


async def insert(database: Connection, destination: Destination) -> bool:
    """Store a new destination; return False if another has its name."""
    columns = _to_columns(destination)
    for name in ("test_id", "test_requested_at", "test_ended_at", "test_report", "tested_at"):
        columns.pop(name)
    return await database.fetchval(*SQL.bind("insert_destination", **columns)) is not None


async def update(database: Connection, destination: Destination) -> bool:
    """Store a destination's next version, whose row must be locked; return False if another has its name."""
    columns = _to_columns(destination)
    for name in ("kind", "created_at"):
        columns.pop(name)
    return await database.fetchval(*SQL.bind("update_destination", **columns)) is not None


async def get(database: Connection, tenant_id: UUID, destination_id: UUID) -> Destination:
    """Return a destination. Raises NotFound."""
    return _require(await database.fetchrow(SQL["destination"], tenant_id, destination_id))


async def lock(database: Connection, tenant_id: UUID, destination_id: UUID) -> Destination:
    """Return a destination, locked until the transaction ends. Raises NotFound."""
    return _require(await database.fetchrow(SQL["lock_destination"], tenant_id, destination_id))


async def list_page(database: Connection, tenant_id: UUID, request: PageRequest) -> Page[Destination]:
    """Return a page of a tenant's destinations."""
    return (await DESTINATIONS.fetch(database, tenant_id, request)).map(to_destination)


async def load_for_draft(database: Connection, tenant_id: UUID, ids: Sequence[UUID]) -> dict[UUID, TenantDestination]:
    """Return what the rules of jobs need to know of some destinations, which stay until the transaction ends."""
    rows = await database.fetch(SQL["destinations_of_jobs"], tenant_id, list(ids)) if ids else []
    return {row["destination_id"]: TenantDestination(name=row["name"], kind=row["kind"]) for row in rows}


async def list_jobs(database: Connection, tenant_id: UUID, destination_id: UUID) -> list[JobReference]:
    """Return the jobs that deliver to a destination, by title."""
    rows = await database.fetch(SQL["jobs_with_destination"], tenant_id, str(destination_id))
    return [JobReference(row["job_id"], row["title"]) for row in rows]


async def apply_test(database: Connection, event: DestinationTested) -> None:
    """Store the result of a destination's latest test; that of an earlier one, or a repeated one, changes nothing."""
    report = DestinationReport(
        passed=event.passed, steps=event.steps, host_key=event.host_key, fingerprint=event.fingerprint
    )
    statement = SQL.bind(
        "apply_destination_test",
        ended_at=event.at,
        report=_REPORT.dump_python(report, mode="json"),
        passed=event.passed,
        tenant_id=event.tenant_id,
        destination_id=event.destination_id,
        test_id=event.test_id,
    )
    await database.execute(*statement)


async def delete(database: Connection, destination: Destination, *, at: datetime) -> Deletion:
    """Delete a destination, whose row must be locked; return the deletion, which the caller announces."""
    await database.execute(SQL["delete_destination"], destination.tenant_id, destination.destination_id, at)
    return Deletion(
        object_id=destination.destination_id,
        kind="destination",
        tenant_id=destination.tenant_id,
        version=destination.version + 1,
        deleted_at=at,
    )


def to_destination(row: Record) -> Destination:
    """Return the destination in a row of the queries about destinations."""
    return Destination(
        destination_id=row["destination_id"],
        tenant_id=row["tenant_id"],
        version=row["version"],
        name=row["name"],
        kind=row["kind"],
        state=row["state"],
        address=_ADDRESS.validate_json(row["address"]),
        credentials=SealedCredentials(key_id=row["key_id"], ciphertext=row["sealed_credentials"]),
        created_at=row["created_at"],
        saved_at=row["saved_at"],
        test=_to_test(row),
        tested_at=row["tested_at"],
    )


def _require(row: Record | None) -> Destination:
    if row is None:
        raise NotFound("destination")
    return to_destination(row)


def _to_test(row: Record) -> DestinationTest | None:
    if row["test_id"] is None:
        return None
    report = None if row["test_report"] is None else _REPORT.validate_json(row["test_report"])
    return DestinationTest(
        test_id=row["test_id"], requested_at=row["test_requested_at"], ended_at=row["test_ended_at"], report=report
    )


def _to_columns(destination: Destination) -> dict[str, Any]:
    test = destination.test
    report = None if test is None or test.report is None else _REPORT.dump_python(test.report, mode="json")
    return {
        "destination_id": destination.destination_id,
        "tenant_id": destination.tenant_id,
        "version": destination.version,
        "name": destination.name,
        "kind": destination.kind,
        "state": destination.state,
        "address": _ADDRESS.dump_python(destination.address, mode="json"),
        "key_id": destination.credentials.key_id,
        "sealed_credentials": destination.credentials.ciphertext,
        "created_at": destination.created_at,
        "saved_at": destination.saved_at,
        "test_id": test.test_id if test else None,
        "test_requested_at": test.requested_at if test else None,
        "test_ended_at": test.ended_at if test else None,
        "test_report": report,
        "tested_at": destination.tested_at,
    }
