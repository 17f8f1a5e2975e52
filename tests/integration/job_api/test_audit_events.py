"""U5: the audit trail of the API also has the entries that other services publish, each once."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from job_api.service import AuditService
from shared.events import AuditRecorded
from tests.contract.samples import samples
from tests.integration.job_api.world import NOW, Tenant, World

SAMPLE = next(event for event in samples() if isinstance(event, AuditRecorded))


def entry(tenant_id: UUID, **changes: Any) -> AuditRecorded:
    """Return a new entry of history in a tenant."""
    return replace(SAMPLE, audit_id=uuid4(), tenant_id=tenant_id, at=NOW, **changes)


async def fetch_entries(tenant: Tenant, **query: str) -> list[dict[str, Any]]:
    response = await tenant.client.get("/api/v1/audit", params=query)
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = response.json()["items"]
    return items


async def test_U5_an_entry_of_another_service_is_in_the_trail_once(world: World, tenant: Tenant) -> None:
    service = AuditService(world.database)
    event = entry(tenant.tenant_id)
    await service.record([event, event])
    await service.record([event])
    (found,) = await fetch_entries(tenant, service="history")
    del found["id"]
    assert found == {
        "created_at": NOW.isoformat().replace("+00:00", "Z"),
        "service": "history",
        "actor_id": str(event.actor_id),
        "actor": "ana",
        "action": "artifact.delete",
        "object_kind": "artifact",
        "object_id": str(event.object_id),
        "before": {"state": "available"},
        "after": {"state": "deleted"},
    }


async def test_U5_the_entries_of_both_services_are_filtered_alike(world: World, tenant: Tenant) -> None:
    download = entry(tenant.tenant_id, action="artifact.download", before=None, after={"first_byte": 0})
    cancel = entry(tenant.tenant_id, action="run.cancel", object_kind="run", actor_name="Nightly script")
    await AuditService(world.database).record([download, cancel])
    actions = {
        "object_id": str(download.object_id),
        "actor": "nightly S",
        "action": "artifact.download",
        "object_kind": "run",
        "search": "first_byte",
        "service": "history",
    }
    found = {
        name: {each["action"] for each in await fetch_entries(tenant, **{name: actions[name]})} for name in actions
    }
    assert found == {
        "object_id": {"artifact.download", "run.cancel"},
        "actor": {"run.cancel"},
        "action": {"artifact.download"},
        "object_kind": {"run.cancel"},
        "search": {"artifact.download"},
        "service": {"artifact.download", "run.cancel"},
    }
    own = {each["service"] for each in await fetch_entries(tenant, object_kind="certificate")}
    assert own == {"job-api"}
    later = {"created_from": (NOW + timedelta(seconds=1)).isoformat(), "service": "history"}
    assert await fetch_entries(tenant, **later) == []


async def test_U3_an_entry_is_in_the_trail_of_its_own_tenant_only(world: World, tenant: Tenant) -> None:
    other, erased = await world.tenant(), uuid4()
    await AuditService(world.database).record([entry(other.tenant_id), entry(erased), entry(tenant.tenant_id)])
    assert len(await fetch_entries(tenant, service="history")) == 1
    assert len(await fetch_entries(other, service="history")) == 1
    assert await world.admin.fetchval("SELECT count(*) FROM job_api.audit WHERE tenant_id = $1", erased) == 0
