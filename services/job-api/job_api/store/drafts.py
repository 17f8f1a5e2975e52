"""Drafts: what users have typed in the editor of jobs and not yet saved, each visible to its user only."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from job_api.store.database import SQL
from shared.postgres import Connection, Record

KEPT = 20
"""The most drafts kept of a user, the latest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDraft:
    """A draft; `job_id` is the job that it changes, and `saved_as` the job that it has become. Either may be None."""

    draft_id: UUID
    job_id: UUID | None
    title: str
    content: Mapping[str, Any]
    saved_as: UUID | None
    written_at: datetime


@dataclass(frozen=True, slots=True)
class DraftOwner:
    """Whose drafts a query is about."""

    tenant_id: UUID
    user_id: UUID


async def get(database: Connection, owner: DraftOwner, draft_id: UUID) -> StoredDraft | None:
    """Return a draft, if its user has one with this id."""
    return _to_draft(await database.fetchrow(SQL["draft"], owner.tenant_id, owner.user_id, draft_id))


async def find_latest(database: Connection, owner: DraftOwner, job_id: UUID | None) -> StoredDraft | None:
    """Return the latest unsaved draft of changes to a job, or of a new job."""
    return _to_draft(await database.fetchrow(SQL["latest_draft"], owner.tenant_id, owner.user_id, job_id))


async def keep(database: Connection, owner: DraftOwner, draft: StoredDraft) -> StoredDraft:
    """Store a draft and lock it until the transaction ends; return it, unchanged if it has become a job."""
    statement = SQL.bind(
        "keep_draft",
        tenant_id=owner.tenant_id,
        user_id=owner.user_id,
        draft_id=draft.draft_id,
        job_id=draft.job_id,
        title=draft.title,
        content=draft.content,
        written_at=draft.written_at,
    )
    kept = _to_draft(await database.fetchrow(*statement))
    await database.execute(SQL["discard_surplus_drafts"], owner.tenant_id, owner.user_id, KEPT)
    return kept or draft


async def record_saving(database: Connection, owner: DraftOwner, draft_id: UUID, *, job_id: UUID) -> None:
    """Record the job that a draft has become."""
    await database.execute(SQL["save_draft"], owner.tenant_id, owner.user_id, draft_id, job_id)


async def discard(database: Connection, owner: DraftOwner, draft_id: UUID) -> None:
    """Delete a draft, if there is one with this id."""
    await database.execute(SQL["discard_draft"], owner.tenant_id, owner.user_id, draft_id)


def _to_draft(row: Record | None) -> StoredDraft | None:
    return StoredDraft(**(dict(row) | {"content": json.loads(row["content"])})) if row is not None else None
