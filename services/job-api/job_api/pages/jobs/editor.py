"""The editor of jobs: new, cloned and changed; nothing that was typed is lost (J4, J8, J10, J12)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
from starlette.requests import Request
from starlette.responses import Response

from job_api.api.clones import draft_of, frozen, run_settings
from job_api.api.drafts import JobDraft, patched
from job_api.domain import Command, Draft, Job, ScheduleDraft, perform
from job_api.domain.catalog import SOURCES, media_title
from job_api.domain.schedules import in_words
from job_api.domain.sizes import size_warning
from job_api.errors import Invalid, LostUpdate, NotFound, Refused
from job_api.pages.jobs.job_form import Typed, placed, read
from job_api.pages.jobs.notices import ends_in_words, warnings_of
from job_api.pages.kit.forms import Form, form_of
from job_api.pages.kit.notices import done
from job_api.pages.kit.rendering import local, render, visitor
from job_api.roles import WRITERS
from job_api.service import Access, Certificates, Estimates, Jobs
from job_api.store import JobView, Once
from shared.auth import Identity
from shared.clock import Clock
from shared.events import Schedule

SLOTS = 5
LABELS = {
    "title": "Title",
    "description": "Description",
    "type": "Type",
    "all_media": "All media types",
    "kind": "How often",
    "every": "Every",
    "begin": "Start",
    "start": "Start at",
    "timeframe": "Records",
    "last_count": "The last",
    "last_unit": "Units",
    "window_start": "From",
    "window_end": "Before",
    "split": "Files",
    "split_number": "At most",
    "split_unit": "Unit of size",
    "recipients": "Encrypted for",
    "compression": "Compression",
    "cipher": "Encryption",
    "catch_up": "After an outage",
    "overlap": "When the run before is still going",
    "attempts": "Attempts",
}
"""What the page calls its fields."""
_MORE = ("compression", "cipher", "catch_up", "overlap", "attempts")


@dataclass(frozen=True)
class Editor:
    """What the pages of the editor need."""

    access: Access
    jobs: Jobs
    certificates: Certificates
    estimates: Estimates
    history: httpx.AsyncClient | None
    clock: Clock

    async def new(self, request: Request) -> Response:
        """Show an empty editor, or one filled with a job's or a run's settings."""
        who = await visitor(self.access, request, *WRITERS)
        cloned, run = request.query_params.get("clone"), request.query_params.get("run")
        typed = Typed.blank()
        if cloned:
            typed = Typed.of_draft(draft_of((await self.jobs.get(who, _id(cloned, "job"))).job, {}))
        elif run:
            settings = await run_settings(self.history, _id(run, "run"), request)
            typed = Typed.of_draft(patched(frozen(settings), {}))
        return await self._page(request, who, typed, back=request.query_params.get("next", ""))

    async def create(self, request: Request) -> Response:
        """Save a new job, or show it again with what is wrong beside the fields."""
        who = await visitor(self.access, request, *WRITERS)
        form = await form_of(request)
        typed = Typed.of_form(form)
        draft, faults = read(typed)
        if form.get("do") == "check":
            return await self._checked(request, who, typed, None)
        faults = await self._faults(who, draft) | faults
        if faults:
            return await self._page(request, who, typed, faults=faults, status=422, back=form.get("next"))
        # Sent twice, it is one job; changed and sent again from the same page, it is another.
        body = hashlib.sha256(await request.body()).hexdigest()
        await self.jobs.create(who, draft, Once("create-job", f"page-{body}", body), _made)
        return done(local(form.get("next")), "job-made")

    async def edit(self, request: Request) -> Response:
        """Show a job to be changed. Raises Refused for one that runs once (J8)."""
        who = await visitor(self.access, request, *WRITERS)
        view = await self.jobs.get(who, request.path_params["job_id"])
        perform(view.job, Command.EDIT, now=self.clock.now(), busy=None)
        typed = Typed.of_draft(JobDraft.of(view.job).to_domain())
        return await self._page(request, who, typed, job=view.job, back=request.query_params.get("next", ""))

    async def save(self, request: Request) -> Response:
        """Save a job's changes, unless somebody else has changed it meanwhile."""
        who = await visitor(self.access, request, *WRITERS)
        form, job_id = await form_of(request), request.path_params["job_id"]
        typed = Typed.of_form(form)
        draft, faults = read(typed)
        job = (await self.jobs.get(who, job_id)).job
        if form.get("do") == "check":
            return await self._checked(request, who, typed, replace(job, version=_version(form)))
        if not faults:
            try:
                await self.jobs.edit(who, job_id, versions=frozenset({_version(form)}), redraft=lambda _: draft)
            except Invalid as error:
                faults = placed(error.faults)
            except Refused as error:
                faults = {"": error.detail}
            except LostUpdate:
                return await self._conflict(request, who, typed, job, form)
            else:
                return done(local(form.get("next")), "job-saved")
        shown = replace(job, version=_version(form))
        return await self._page(request, who, typed, job=shown, faults=faults, status=422, back=form.get("next"))

    async def ahead(self, request: Request) -> Response:
        """Return a piece of the page: the next slots, or the estimate, of what is typed just now."""
        who = await visitor(self.access, request, *WRITERS)
        form = await form_of(request)
        draft, faults = read(Typed.of_form(form))
        job = (await self.jobs.get(who, _id(form.get("job"), "job"))).job if form.get("job") else None
        if request.path_params["part"] == "slots":
            return render(request, "ahead_slots.html", ahead=self._slots(draft, faults, job))
        return render(request, "ahead_size.html", size=await self._size(who, draft, faults))

    async def _checked(self, request: Request, who: Identity, typed: Typed, job: Job | None) -> Response:
        # For who has no script: everything that the script shows while typing, and what would be refused.
        form = await form_of(request)
        draft, faults = read(typed)
        size = await self._size(who, draft, faults)
        faults = await self._faults(who, draft, job) | faults
        return await self._page(request, who, typed, job=job, faults=faults, size=size, back=form.get("next"))

    async def _faults(self, who: Identity, draft: Draft, job: Job | None = None) -> dict[str, str]:
        if job is not None and draft.schedule.immediately and job.schedule.immediately:
            # It stays as it is (J10), which the rules of a new job know nothing of.
            draft = replace(draft, schedule=replace(draft.schedule, immediately=False, start=job.schedule.start))
        try:
            await self.jobs.check(who, draft)
        except Invalid as error:
            return placed(error.faults)
        except Refused as error:
            return {"source": error.detail}
        return {}

    async def _conflict(self, request: Request, who: Identity, typed: Typed, job: Job, form: Form) -> Response:
        theirs = Typed.of_draft(JobDraft.of(job).to_domain())
        return await self._page(
            request, who, typed, job=job, status=412, conflict=_differences(theirs, typed), back=form.get("next")
        )

    async def _page(
        self,
        request: Request,
        who: Identity,
        typed: Typed,
        *,
        job: Job | None = None,
        faults: Mapping[str, str] | None = None,
        status: int = 200,
        size: dict[str, Any] | None = None,
        conflict: list[tuple[str, str, str]] | None = None,
        back: str = "",
    ) -> Response:
        draft, unread = read(typed)
        active, now = await self.certificates.active(who), self.clock.now()
        media = (await self.jobs.tenant(who)).media_types
        return render(
            request,
            "editor.html",
            status=status,
            job=job,
            values=typed.values,
            typed=typed,
            faults=faults or {},
            labels=LABELS,
            conflict=conflict,
            action=f"/jobs/{job.job_id}/edit" if job else "/jobs/new",
            back=local(back),
            sources=SOURCES,
            media=[(each, media_title(each)) for each in media],
            certificates=[(str(each.certificate_id), each.name, ends_in_words(each.not_after, now)) for each in active],
            warnings=warnings_of(active, now),
            more=any(name in (faults or {}) or typed.values[name] != Typed.blank().values[name] for name in _MORE),
            ahead=self._slots(draft, unread, job),
            size=size or {"rows": None, "bytes": None, "warning": size_warning(draft.split_size, None), "reason": None},
        )

    def _slots(self, draft: Draft, unread: Mapping[str, str], job: Job | None) -> dict[str, Any]:
        if wrong := [unread[name] for name in ("kind", "every", "start") if name in unread]:
            return {"words": None, "slots": [], "wrong": wrong[0]}
        previous: Schedule | None = job.schedule if job else None
        try:
            schedule, slots = self.jobs.preview(draft.schedule, SLOTS, previous)
        except Invalid as error:
            return {"words": None, "slots": [], "wrong": " ".join(placed(error.faults).values())}
        return {"words": in_words(schedule), "slots": slots, "wrong": None}

    async def _size(self, who: Identity, draft: Draft, unread: Mapping[str, str]) -> dict[str, Any]:
        if any(name.startswith(("window", "last", "split")) for name in unread):
            return {"rows": None, "bytes": None, "warning": None, "reason": "First complete which records and files."}
        # Neither the title nor the hour changes how much there is: the estimate does not wait for them.
        later = self.clock.now() + timedelta(days=1)
        about = replace(
            draft,
            title="x",
            description="",
            schedule=ScheduleDraft(kind="daily", start=later),
            certificates=None,
            attempts=1,
        )
        try:
            found = await self.estimates.of((await self.jobs.check(who, about)).settings)
        except (Invalid, Refused):
            return {"rows": None, "bytes": None, "warning": None, "reason": "First complete which records and files."}
        warning = size_warning(draft.split_size, found.bytes)
        return {"rows": found.rows, "bytes": found.bytes, "warning": warning, "reason": found.reason}


def _differences(theirs: Typed, mine: Typed) -> list[tuple[str, str, str]]:
    pairs = [(words, theirs.values[name], mine.values[name]) for name, words in LABELS.items()]
    pairs += [("Media types", ", ".join(theirs.media), ", ".join(mine.media))]
    pairs += [("Certificates", f"{len(theirs.certificates)} chosen", f"{len(mine.certificates)} chosen")]
    return [pair for pair in pairs if pair[1] != pair[2]]


def _version(form: Form) -> int:
    text = form.get("version")
    return int(text) if text.isdigit() and len(text) < 19 else 0


def _id(text: str, what: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(what) from None


def _made(view: JobView) -> dict[str, Any]:
    return {"job": str(view.job.job_id)}
