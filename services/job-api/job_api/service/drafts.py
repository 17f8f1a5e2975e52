"""Drafts of jobs: kept while a user types, and saved at most once each."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from job_api.errors import NotFound
from job_api.store import Database, UnitOfWork, deletions, drafts
from job_api.store.drafts import DraftOwner, StoredDraft
from shared.auth import Identity


class DraftService:
    """The caller's drafts. What a draft's content means is up to the editor."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, identity: Identity, draft_id: UUID) -> StoredDraft | None:
        """Return the caller's draft with this id, if there is one."""
        async with self._database.read(identity.tenant_id) as database:
            return await drafts.get(database, _to_owner(identity), draft_id)

    async def find_latest(self, identity: Identity, job_id: UUID | None) -> StoredDraft | None:
        """Return the caller's latest unsaved draft of changes to a job, or of a new job."""
        async with self._database.read(identity.tenant_id) as database:
            return await drafts.find_latest(database, _to_owner(identity), job_id)

    async def keep(
        self, work: UnitOfWork, draft_id: UUID, *, job_id: UUID | None, title: str, content: Mapping[str, Any]
    ) -> StoredDraft:
        """Store a draft and lock it until the unit of work ends; return it, unchanged if it has become a job."""
        draft = StoredDraft(
            draft_id=draft_id, job_id=job_id, title=title, content=content, saved_as=None, written_at=work.at
        )
        return await drafts.keep(work.connection, _owner_of(work), draft)

    async def record_saving(self, work: UnitOfWork, draft_id: UUID, job_id: UUID) -> None:
        """Record the job that a draft has become."""
        await drafts.record_saving(work.connection, _owner_of(work), draft_id, job_id=job_id)

    async def discard(self, work: UnitOfWork, draft_id: UUID) -> None:
        """Delete a draft, if there is one with this id."""
        await drafts.discard(work.connection, _owner_of(work), draft_id)

    async def was_deleted(self, identity: Identity, job_id: UUID) -> bool:
        """Return whether the caller's tenant had a job with this id and has deleted it."""
        async with self._database.read(identity.tenant_id) as database:
            return await deletions.has_job(database, identity.tenant_id, job_id)


def _to_owner(identity: Identity) -> DraftOwner:
    return DraftOwner(identity.tenant_id, identity.user_id)


def _owner_of(work: UnitOfWork) -> DraftOwner:
    if work.actor.user_id is None:
        raise NotFound("draft")
    return DraftOwner(work.actor.tenant_id, work.actor.user_id)
