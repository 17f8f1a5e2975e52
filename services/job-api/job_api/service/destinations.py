"""Destinations: the tenant's own storage, to which files are delivered (rules D1 to D3)."""

from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID, uuid4

from pydantic import TypeAdapter

from job_api.domain.destination_fields import find_host, is_numeric_host
from job_api.domain.destinations import (
    DestinationChange,
    DestinationDraft,
    ValidDestination,
    has_other_recipient,
    list_fields,
    validate_destination,
)
from job_api.errors import FieldFault, InvalidInput, LostUpdate, OperationRefused
from job_api.store import ALL_TENANTS, Database, UnitOfWork, identities
from job_api.store import destinations as store
from job_api.store.database import set_scope
from job_api.store.destinations import Destination, DestinationTest
from shared.auth import Identity
from shared.events import DestinationAddress, DestinationTested, RunDestinationTest, SealedCredentials
from shared.events.values import DestinationKind
from shared.http.lists import Page, PageRequest
from shared.net.addresses import AddressRefused, AddressRules
from shared.sealing import CredentialsOwner, Sealer

MAX_LISTED = 200
_ADDRESS = TypeAdapter(DestinationAddress)
_BY_NAME = PageRequest(sort="name", descending=False, filters={}, limit=MAX_LISTED)


@dataclass(frozen=True, slots=True)
class DeliveryAccess:
    """What the operator has set up of delivery: to whom credentials are sealed, None where there is no deliverer.

    `rules` say which addresses destinations may have.
    """

    sealer: Sealer | None = None
    rules: AddressRules = field(default_factory=AddressRules)


NO_DELIVERY = DeliveryAccess()


class DestinationService:
    """The destinations of the caller's tenant."""

    def __init__(self, database: Database, *, delivery: DeliveryAccess) -> None:
        self._database = database
        self._delivery = delivery

    async def create(self, work: UnitOfWork, draft: DestinationDraft) -> Destination:
        """Store a destination, untested. Raises InvalidInput, or OperationRefused for a name in use."""
        valid = validate_destination(draft)
        self._check_host(valid.address)
        destination_id = uuid4()
        destination = Destination(
            destination_id=destination_id,
            tenant_id=work.actor.tenant_id,
            version=1,
            name=valid.name,
            kind=valid.kind,
            state="active",
            address=await _with_external_id(work, valid.address),
            credentials=self._seal(work, valid, destination_id),
            created_at=work.at,
            saved_at=work.at,
        )
        if not await store.insert(work.connection, destination):
            raise _refuse_name(destination.name)
        work.emit(destination.to_event())
        work.audit("destination.create", destination_id, after=_to_document(destination))
        return destination

    async def change(
        self, work: UnitOfWork, destination_id: UUID, change: DestinationChange, *, versions: frozenset[int] | None
    ) -> Destination:
        """Change a destination; one with another address or other credentials counts as untested.

        Raises NotFound, LostUpdate, InvalidInput, or OperationRefused for a name in use.
        """
        before = await _lock(work, destination_id, versions)
        draft = DestinationDraft(
            name=before.name if change.name is None else change.name,
            kind=before.kind,
            address={**list_fields(before.address), **(change.address or {})},
            credentials=change.credentials,
        )
        valid = validate_destination(draft, previous=before.address)
        self._check_host(valid.address)
        credentials = before.credentials if valid.credentials is None else self._seal(work, valid, destination_id)
        after = replace(
            before,
            version=before.version + 1,
            name=valid.name,
            state=change.state or before.state,
            address=await _with_external_id(work, valid.address),
            credentials=credentials,
            saved_at=work.at,
        )
        if after.address != before.address or after.credentials is not before.credentials:
            after = replace(after, test=None, tested_at=None)
        return await _save(work, before, after)

    async def test(self, work: UnitOfWork, destination_id: UUID) -> Destination:
        """Request a test of a destination, whose result arrives later (rule D3). Raises NotFound."""
        found = await store.lock(work.connection, work.actor.tenant_id, destination_id)
        after = replace(found, test=DestinationTest(test_id=uuid4(), requested_at=work.at))
        assert after.test is not None
        await store.update(work.connection, after)
        work.emit(
            RunDestinationTest(
                destination_id=destination_id,
                tenant_id=found.tenant_id,
                test_id=after.test.test_id,
                version=found.version,
                requested_by=work.actor.user_id,
                requested_at=work.at,
            )
        )
        work.audit("destination.test", destination_id, after={"test": str(after.test.test_id)})
        return after

    async def trust_host_key(
        self, work: UnitOfWork, destination_id: UUID, fingerprint: str, *, versions: frozenset[int] | None
    ) -> Destination:
        """Pin the key that the server presented at the latest test, if its fingerprint is the one that was confirmed.

        Raises NotFound, LostUpdate, or InvalidInput if the latest test found another key or none.
        """
        before = await _lock(work, destination_id, versions)
        report = before.test.report if before.test else None
        if report is None or report.host_key is None or report.fingerprint != fingerprint:
            message = "is not that of the key which the server presented at the latest test: test again"
            raise InvalidInput(FieldFault("fingerprint", message))
        address = replace(before.address, host_key=report.host_key)
        if has_other_recipient(before.kind, list_fields(before.address), list_fields(address)):
            message = "the server has another key than before: enter the credentials again together with it"
            raise InvalidInput(FieldFault("fingerprint", message))
        after = replace(before, version=before.version + 1, address=address, saved_at=work.at)
        return await _save(work, before, replace(after, test=None, tested_at=None))

    async def delete(self, work: UnitOfWork, destination_id: UUID, *, versions: frozenset[int] | None) -> None:
        """Delete a destination that no job delivers to. Raises NotFound, LostUpdate or OperationRefused."""
        destination = await _lock(work, destination_id, versions)
        if jobs := await store.list_jobs(work.connection, destination.tenant_id, destination_id):
            raise _refuse_deletion(jobs)
        deletion = await store.delete(work.connection, destination, at=work.at)
        work.emit(deletion.to_event())
        work.audit("destination.delete", destination_id, before=_to_document(destination))

    async def get(self, identity: Identity, destination_id: UUID) -> Destination:
        """Return a destination. Raises NotFound."""
        async with self._database.read(identity.tenant_id) as database:
            return await store.get(database, identity.tenant_id, destination_id)

    async def list_page(self, identity: Identity, request: PageRequest) -> Page[Destination]:
        """Return a page of destinations."""
        async with self._database.read(identity.tenant_id) as database:
            return await store.list_page(database, identity.tenant_id, request)

    async def list_by_name(self, identity: Identity) -> list[Destination]:
        """Return the destinations by name, at most 200."""
        return (await self.list_page(identity, _BY_NAME)).items

    async def apply_tests(self, events: list[DestinationTested]) -> None:
        """Store the results of tests. Raises PostgresUnavailable."""
        async with self._database.transaction(ALL_TENANTS) as database:
            for event in events:
                await set_scope(database, event.tenant_id)
                await store.apply_test(database, event)

    @property
    def is_available(self) -> bool:
        """Whether the operator has set up delivery."""
        return self._delivery.sealer is not None

    def _seal(self, work: UnitOfWork, valid: ValidDestination, destination_id: UUID) -> SealedCredentials:
        if (sealer := self._delivery.sealer) is None:
            detail = "Delivery is not set up: ask the operator to set SLUICE_JOB_API_DELIVERY_PUBLIC_KEY."
            raise OperationRefused("delivery-not-available", detail)
        owner = CredentialsOwner(work.actor.tenant_id, destination_id)
        return sealer.seal(valid.credentials or {}, owner)

    def _check_host(self, address: DestinationAddress) -> None:
        """Refuse an address that no connection would reach; a name is judged at each connection (rule D9)."""
        host = find_host(address)
        if host is None or not is_numeric_host(host):
            return
        try:
            self._delivery.rules.check(host)
        except AddressRefused as error:
            place = "address.endpoint" if address.endpoint else "address.host"
            raise InvalidInput(FieldFault(place, str(error))) from None


async def _with_external_id(work: UnitOfWork, address: DestinationAddress) -> DestinationAddress:
    """Return the address with the tenant's external id, where a role is to be assumed."""
    if address.role_arn is None:
        return replace(address, external_id=None)
    tenant = await identities.get_tenant(work.connection, work.actor.tenant_id)
    return replace(address, external_id=str(tenant.external_id))


async def _lock(work: UnitOfWork, destination_id: UUID, versions: frozenset[int] | None) -> Destination:
    found = await store.lock(work.connection, work.actor.tenant_id, destination_id)
    if versions is not None and found.version not in versions:
        raise LostUpdate(found.version)
    return found


async def _save(work: UnitOfWork, before: Destination, after: Destination) -> Destination:
    if not await store.update(work.connection, after):
        raise _refuse_name(after.name)
    work.emit(after.to_event())
    changed = after.credentials is not before.credentials
    document = _to_document(after) | ({"credentials": "changed"} if changed else {})
    work.audit("destination.edit", after.destination_id, before=_to_document(before), after=document)
    return after


def _refuse_name(name: str) -> OperationRefused:
    return OperationRefused("destination-exists", f"Another destination is named '{name}': choose another name.")


def _refuse_deletion(jobs: list[store.JobReference]) -> OperationRefused:
    names = ", ".join(f"'{each.title}'" for each in jobs[:10])
    more = f" and {len(jobs) - 10} more" if len(jobs) > 10 else ""
    detail = f"Jobs deliver to this destination: {names}{more}. Remove it from them, or delete them, first."
    return OperationRefused("destination-in-use", detail, extra={"jobs": [str(each.job_id) for each in jobs]})


def _to_document(destination: Destination) -> dict[str, Any]:
    """Return what the audit trail keeps of a destination; its credentials are not among it (rule D2)."""
    return {
        "name": destination.name,
        "kind": destination.kind,
        "state": destination.state,
        "address": list_fields(destination.address),
        "version": destination.version,
    }


def describe_kind(kind: DestinationKind) -> str:
    """Return the title of a kind of destination."""
    return {"s3": "S3", "gcs": "Google Cloud Storage", "azure": "Azure Blob Storage", "sftp": "SFTP"}[kind]
