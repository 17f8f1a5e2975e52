"""Concurrent claims: each run is claimed once, within its tenant's limit, and the view of claimable runs agrees."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from exporter.store.runs import RunClaim, RunStore
from shared.postgres import open_pool
from tests.integration.exporter.conftest import ExportSystem

RUNS, CLAIMERS = 60, 8
LEASE = timedelta(minutes=5)


async def claim_all(store: RunStore, name: str, *, tenant_limit: int | None) -> list[RunClaim]:
    """Claim runs until there are none left."""
    claims: list[RunClaim] = []
    while (claim := await store.claim(name, LEASE, tenant_limit=tenant_limit)) is not None:
        claims.append(claim)
    return claims


async def race(store: RunStore, *, tenant_limit: int | None) -> list[RunClaim]:
    """Let all claimers claim at once, and return their claims."""
    claimed = await asyncio.gather(
        *(claim_all(store, f"claimer-{number}", tenant_limit=tenant_limit) for number in range(CLAIMERS))
    )
    return [claim for claims in claimed for claim in claims]


@pytest.mark.parametrize("round_number", range(3))
async def test_R2_concurrent_claimers_claim_each_run_once(exports: ExportSystem, round_number: int) -> None:
    triggers = [exports.make_trigger(tenant=uuid4()) for _ in range(RUNS)]
    await exports.admit(*triggers)
    async with open_pool(exports.system.dsn("exporter"), size=CLAIMERS, name="claimers") as pool:
        store = RunStore(pool)
        assert await store.has_claimable_runs(tenant_limit=None)
        claims = await race(store, tenant_limit=None)
        # A claimer skips a row that another has locked, so a run may be left over for the next turn.
        claims += await race(store, tenant_limit=None)
        assert not await store.has_claimable_runs(tenant_limit=None)
    assert sorted(claim.run_id for claim in claims) == sorted(trigger.run_id for trigger in triggers)
    assert {claim.token for claim in claims} == {1}, "no run was claimed twice"


async def test_R4_concurrent_claimers_keep_to_the_tenant_limit(exports: ExportSystem) -> None:
    tenant = uuid4()
    await exports.admit(*(exports.make_trigger(tenant=tenant) for _ in range(10)))
    async with open_pool(exports.system.dsn("exporter"), size=CLAIMERS, name="claimers") as pool:
        store = RunStore(pool)
        assert await store.has_claimable_runs(tenant_limit=3)
        assert len(await race(store, tenant_limit=3)) == 3
        assert not await store.has_claimable_runs(tenant_limit=3)
        assert await store.has_claimable_runs(tenant_limit=4)
