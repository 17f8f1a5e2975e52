"""Filing: the files of one tenant, as somebody may list, download, hand out and delete them (A1 to A3)."""

import secrets
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from uuid import UUID

from history.errors import PlaceNotUnderstood
from history.service.archive import archive
from history.service.cursors import invalid_cursor, next_cursor, page_of
from history.service.downloads import Download, Downloads, Headers
from history.service.once import Once
from history.service.retention import Retention
from history.store.files import Files
from history.store.listing import ARTIFACT_SORTS, ArtifactFilter, Page
from history.store.objects import Objects
from history.store.reading import Reading
from history.views import models
from history.views.documents import artifact_view, audit_view, facets, set_view
from shared.auth import Identity, hash_secret
from shared.clock import Clock, SystemClock
from shared.http.problems import Problem, ProblemType, not_found
from shared.observe import DOWNLOADS
from shared.postgres import Record

_ALL = 1000
_GONE = {"expired": "removed because its time was over", "deleted": "deleted by somebody"}
LINK_LASTS = timedelta(minutes=15)


class Filing:
    """What the API's operations on files do."""

    def __init__(
        self,
        reading: Reading,
        files: Files,
        objects: Objects,
        retention: Retention,
        *,
        kept: timedelta,
        clock: Clock | None = None,
    ) -> None:
        self._reading = reading
        self._files = files
        self._objects = objects
        self._downloads = Downloads(objects)
        self._retention = retention
        self._kept = kept
        self._clock = clock or SystemClock()

    async def artifacts(
        self, who: Identity, which: ArtifactFilter, *, sort: str, limit: int, cursor: str | None
    ) -> models.Artifacts:
        """Return a page of the tenant's files. Raises Problem 422 for a bad sort or cursor."""
        page = page_of(sort, ARTIFACT_SORTS, limit=limit, cursor=cursor)
        try:
            rows = await self._reading.artifacts(who.tenant_id, which, page)
        except PlaceNotUnderstood:
            raise invalid_cursor() from None
        items = await self._views(who, rows[:limit])
        return models.Artifacts(items=items, next=next_cursor(rows, page, "artifact_id"))

    async def of_run(self, who: Identity, run_id: UUID) -> list[models.Artifact]:
        """Return a run's files, a thousand at most."""
        page = Page(sort="name", descending=False, limit=_ALL)
        rows = await self._reading.artifacts(who.tenant_id, ArtifactFilter(run_id=run_id), page)
        return await self._views(who, rows[:_ALL])

    async def sets_of_run(self, run_id: UUID) -> list[models.FileSet]:
        """Return a run's files by kind, however many."""
        return [set_view(row) for row in await self._reading.sets([run_id])]

    async def counts(self, who: Identity, which: ArtifactFilter) -> models.ArtifactCounts:
        """Return how many files there are of each state and type, each under the other filters."""
        rows = await self._reading.artifact_counts(who.tenant_id, which)
        chosen = {
            "state": [which.state] if which.state is not None else None,
            "type": [which.type] if which.type is not None else None,
        }
        return models.ArtifactCounts(**facets(rows, chosen))

    async def artifact(self, who: Identity, artifact_id: UUID) -> models.Artifact:
        """Return one file. Raises Problem 404."""
        [row] = await self._found(who, [artifact_id])
        return (await self._views(who, [row]))[0]

    async def download(self, who: Identity, artifact_id: UUID, asked: Headers) -> Download:
        """Return a file as a request asks for it; counted once it begins at the first byte, audited always.

        Raises Problem 404, 410 when it is gone, 416 for a range outside.
        """
        [row] = await self._there(who, [artifact_id])
        found = await self._downloads.file(row, asked)
        # Before the first byte goes: what was served is in the audit, also where the client goes away in the middle.
        if found.status != 304:
            await self._files.note(who, "download", [artifact_id], first_byte=found.start)
        if found.start == 0:
            await self._reading.count_download(artifact_id)
            DOWNLOADS.labels("file").inc()
        return found

    async def archive(self, who: Identity, artifact_ids: Sequence[UUID]) -> AsyncIterator[bytes]:
        """Return several files as one zip. Raises Problem 404 when one is unknown, 410 when one is gone."""
        rows = await self._there(who, artifact_ids)
        await self._files.note(who, "download-archive", artifact_ids, files=len(rows))
        for row in rows:
            await self._reading.count_download(row["artifact_id"])
        DOWNLOADS.labels("archive").inc()
        return archive(self._objects, rows)

    async def delete(self, who: Identity, artifact_ids: Sequence[UUID]) -> None:
        """Delete files; those that are gone already are no error. Raises Problem 404 when one is unknown."""
        await self._found(who, artifact_ids)
        gone = await self._retention.delete(who.tenant_id, list(artifact_ids), who.user_id)
        await self._files.note(who, "delete-file", gone, before="available", after="deleted")

    async def link(self, who: Identity, artifact_id: UUID, once: Once | None = None) -> models.Link:
        """Return a link that works without a login for a short time; the same one to the same request sent again.

        Raises Problem 404, 410, and 409 for a key that was used for another link.
        """
        await self._there(who, [artifact_id])
        secret = once.secret(artifact_id) if once else secrets.token_urlsafe(32)
        until, key = self._clock.now() + LINK_LASTS, once.key if once else None
        ends = await self._files.add_link(who, artifact_id, hash_secret(secret), until, key=key)
        if ends is None:
            raise Problem(
                ProblemType.IDEMPOTENCY_CONFLICT, "This Idempotency-Key was used for another link: take a new one."
            )
        return models.Link(path=f"/api/v1/artifacts/links/{secret}", expires_at=ends)

    async def linked(self, secret: str, asked: Headers) -> Download:
        """Return the file that a link leads to. Raises Problem 404 for one that does not work (any more)."""
        row = await self._files.link(hash_secret(secret), self._clock.now())
        if row is None:
            raise Problem(ProblemType.NOT_FOUND, "This link does not work, or not any more.")
        owner = Identity(row["user_id"], row["tenant_id"], row["user_id"], row["name"], frozenset())
        return await self.download(owner, row["artifact_id"], asked)

    async def retention(self, who: Identity) -> models.Retention:
        """Return for how many days the tenant's files are kept."""
        return models.Retention(days=(await self._kept_for(who)).days)

    async def set_retention(self, who: Identity, wanted: models.Retention) -> models.Retention:
        """Keep the tenant's files for so many days from now on, those that are there included."""
        was = await self._kept_for(who)
        await self._files.set_retention(who, wanted.days, was=was.days)
        return await self.retention(who)

    async def audit(self, who: Identity, *, action: str | None, limit: int, cursor: int | None) -> models.Audit:
        """Return who did what in the tenant, newest first."""
        rows = await self._files.audit(who.tenant_id, before=cursor, action=action, limit=limit + 1)
        following = str(rows[limit - 1]["id"]) if len(rows) > limit else None
        return models.Audit(items=[audit_view(row) for row in rows[:limit]], next=following)

    async def _found(self, who: Identity, artifact_ids: Sequence[UUID]) -> list[Record]:
        rows = await self._reading.artifacts_of(who.tenant_id, artifact_ids)
        if len(rows) < len(set(artifact_ids)):
            raise not_found("artifact")
        return rows

    async def _there(self, who: Identity, artifact_ids: Sequence[UUID]) -> list[Record]:
        rows = await self._found(who, artifact_ids)
        for view in await self._views(who, rows):
            if view.state != "available":
                raise Problem(
                    ProblemType.from_name(f"artifact-{view.state}"),
                    f"{view.name} is no longer there: it has been {_GONE[view.state]}.",
                )
        return rows

    async def _views(self, who: Identity, rows: Sequence[Record]) -> list[models.Artifact]:
        now, kept = self._clock.now(), await self._kept_for(who)
        sets = {
            (each["run_id"], each["kind"]): set_view(each)
            for each in await self._reading.sets(list({row["run_id"] for row in rows}))
        }
        return [artifact_view(row, now, kept, sets[row["run_id"], row["kind"]]) for row in rows]

    async def _kept_for(self, who: Identity) -> timedelta:
        days = await self._files.retention(who.tenant_id)
        return min(self._kept, timedelta(days=days)) if days else self._kept
