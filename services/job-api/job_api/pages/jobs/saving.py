"""What the buttons of the editor do: save, check, upload a certificate, keep and discard a draft.

Each leads to another page (post, redirect, get): reloading repeats nothing, and a refused form is shown as a draft.
"""

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from job_api.bodies.drafts import JobDraft
from job_api.domain import Draft, Job
from job_api.errors import InvalidInput, LostUpdate, NotFound, OperationRefused
from job_api.pages.jobs.draft_content import (
    DELETED,
    RUNS_ONCE,
    DraftContent,
    Submission,
    create_draft_id,
    parse_id,
    read_submission,
    to_editor,
)
from job_api.pages.jobs.job_form import JobForm, parse_draft, to_form_errors
from job_api.pages.jobs.merging import merge_forms
from job_api.pages.jobs.visible_fields import place_errors
from job_api.pages.kit.forms import parse_form
from job_api.pages.kit.identity import require_identity
from job_api.pages.kit.navigation import to_local_path
from job_api.pages.kit.notices import redirect_with_notice
from job_api.pages.kit.services import get_services
from job_api.roles import OPERATORS
from job_api.store import UnitOfWork
from shared.auth import Identity

_MERGES_MAX = 3
_UPLOAD_FIELDS = {"name": "certificate-name", "pem": "certificate-file"}


async def submit_new_job(request: Request) -> Response:
    """Save a new job; or keep the draft and show it again, with an error next to each field that has one."""
    identity = await require_identity(request, *OPERATORS)
    return await _Editing(request, identity, None).submit(await read_submission(request))


async def submit_changes(request: Request) -> Response:
    """Save the changes of a job, merged with those that another user has saved meanwhile; or show the draft again.

    Raises NotFound for a job that the tenant has never had.
    """
    identity = await require_identity(request, *OPERATORS)
    submission, job_id = await read_submission(request), request.path_params["job_id"]
    editing = _Editing(request, identity, job_id)
    try:
        return await editing.submit(submission)
    except NotFound:
        if not await get_services(request).drafts.was_deleted(identity, job_id):
            raise
        return await editing.restart(submission, DELETED)


async def keep_draft(request: Request) -> Response:
    """Keep what has been typed so far, as the script of the editor does while a user types."""
    identity = await require_identity(request, *OPERATORS)
    submission = await read_submission(request)
    editing = _Editing(request, identity, parse_id(submission.fields.get("job")))
    await editing.keep(replace(submission, draft_id=request.path_params["draft_id"]))
    return Response(status_code=204)


async def discard_draft(request: Request) -> Response:
    """Delete a draft, and show the editor without it."""
    identity = await require_identity(request, *OPERATORS)
    async with get_services(request).units.begin(identity) as work:
        await get_services(request).drafts.discard(work, request.path_params["draft_id"])
    return RedirectResponse(to_local_path((await parse_form(request)).get("editor"), "/jobs/new"), 303)


class _Editing:
    """One submission of the editor of a job, or of a new one where `job_id` is None."""

    def __init__(self, request: Request, identity: Identity, job_id: UUID | None) -> None:
        self._request = request
        self._identity = identity
        self._job_id = job_id
        self._services = get_services(request)

    async def submit(self, sent: Submission) -> Response:
        """Do what the button asks for; a job that runs once by now is left as it is."""
        if self._job_id is not None and _runs_once((await self._services.jobs.get(self._identity, self._job_id)).job):
            return await self.restart(sent, RUNS_ONCE)
        match sent.action:
            case "check":
                return await self._show_again(sent, await self._find_errors(sent.content), checked="yes")
            case "upload":
                return await self._upload(sent)
        if errors := {**sent.unresolved, **await self._find_errors(sent.content)}:
            return await self._show_again(sent, errors)
        return await self._save(sent)

    async def keep(self, sent: Submission) -> None:
        """Store the draft, unless it has become a job."""
        async with self._services.units.begin(self._identity) as work:
            await self._keep(work, sent)

    async def restart(self, sent: Submission, note: str) -> Response:
        """Keep the form as a draft of a new job, and show it with a note."""
        content = DraftContent(form=sent.content.form, note=note)
        anew = _Editing(self._request, self._identity, None)
        return await anew._show_again(replace(sent, draft_id=create_draft_id(), content=content), {})

    async def _save(self, sent: Submission) -> Response:
        try:
            return await (self._create(sent) if self._job_id is None else self._change(sent, self._job_id))
        except InvalidInput as error:
            return await self._show_again(sent, to_form_errors(error.faults))
        except OperationRefused as error:
            return await self._show_again(sent, {"": error.detail})

    async def _create(self, sent: Submission) -> Response:
        draft, _ = parse_draft(sent.content.form)
        async with self._services.units.begin(self._identity) as work:
            before, job_id = await self._keep(work, sent)
            if job_id is None:
                job_id = (await self._services.jobs.create(work, draft)).job.job_id
                await self._services.drafts.record_saving(work, sent.draft_id, job_id)
                before = sent.content
        if before.form == sent.content.form:
            return redirect_with_notice(show_in_list(sent.back, job_id), "job-created", job=draft.title.strip())
        # The job has been saved from this form, which was changed and submitted again: the job is changed, too.
        return await self._change_saved(sent, before, job_id)

    async def _change_saved(self, sent: Submission, before: DraftContent, job_id: UUID) -> Response:
        content = replace(sent.content, opened=before.form, version=0)
        try:
            return await _Editing(self._request, self._identity, job_id).submit(
                replace(sent, draft_id=create_draft_id(), content=content)
            )
        except NotFound:
            return await self.restart(sent, DELETED)

    async def _change(self, sent: Submission, job_id: UUID) -> Response:
        notice = "job-saved"
        for _ in range(_MERGES_MAX):
            draft, _unreadable = parse_draft(sent.content.form)
            try:
                return await self._change_once(sent, job_id, draft, notice=notice)
            except LostUpdate:
                job = (await self._services.jobs.get(self._identity, job_id)).job
                if _runs_once(job):
                    return await self.restart(sent, RUNS_ONCE)
                sent, notice = _merge(sent, job), "job-merged"
            errors = await self._find_errors(sent.content)
            if errors or sent.content.conflicts:
                break
        else:
            errors = {"": "This job is being changed by others all the time. Save again."}
        return await self._show_again(sent, errors)

    async def _change_once(self, sent: Submission, job_id: UUID, draft: Draft, *, notice: str) -> Response:
        versions, jobs = frozenset({sent.content.version}), self._services.jobs
        async with self._services.units.begin(self._identity) as work:
            before, saved_as = await self._keep(work, sent)
            if saved_as is None:
                await jobs.edit(work, job_id, versions=versions, redraft=lambda _: draft)
                await self._services.drafts.record_saving(work, sent.draft_id, job_id)
        if saved_as is not None and before.form != sent.content.form:
            return await self._change_saved(sent, before, saved_as)
        return redirect_with_notice(show_in_list(sent.back, job_id), notice, job=draft.title.strip())

    async def _upload(self, sent: Submission) -> Response:
        name = sent.fields.get("certificate-name")
        content = sent.fields.get_bytes("certificate-file") or sent.fields.get_bytes("certificate-pem")
        try:
            async with self._services.units.begin(self._identity) as work:
                found = await self._services.certificates.upload(work, name, content)
        except InvalidInput as error:
            errors = {_UPLOAD_FIELDS.get(each.field, "certificate-file"): each.message for each in error.faults}
            return await self._show_again(sent, errors)
        except OperationRefused as error:
            return await self._show_again(sent, {"certificate-name": error.detail})
        form = sent.content.form
        if form.values["recipients"] == "selected":
            form = replace(form, certificates=(*form.certificates, str(found.certificate_id)))
        await self.keep(replace(sent, content=replace(sent.content, form=form)))
        address = to_editor(self._job_id, sent.draft_id, back=sent.back)
        return redirect_with_notice(f"{address}#recipients", "certificate-uploaded", certificate=name.strip())

    async def _show_again(self, sent: Submission, errors: Mapping[str, str], **parameters: str) -> Response:
        content = replace(sent.content, errors=place_errors(errors, sent.content.form))
        await self.keep(replace(sent, content=content))
        address = to_editor(self._job_id, sent.draft_id, back=sent.back, **parameters)
        return RedirectResponse(address, 303)

    async def _keep(self, work: UnitOfWork, sent: Submission) -> tuple[DraftContent, UUID | None]:
        """Store the draft and lock it; return its content, and the job that it has become, if any."""
        kept = await self._services.drafts.keep(
            work,
            sent.draft_id,
            job_id=self._job_id,
            title=sent.content.form.values["title"],
            content=sent.content.to_document(),
        )
        return DraftContent.from_document(kept.content), kept.saved_as

    async def _find_errors(self, content: DraftContent) -> dict[str, str]:
        draft, unreadable = parse_draft(content.form)
        job = (await self._services.jobs.get(self._identity, self._job_id)).job if self._job_id else None
        if job is not None and draft.schedule.immediately and job.schedule.immediately:
            # The job keeps the instant at which it started (J10), which the rules of a new job would reject.
            draft = replace(draft, schedule=replace(draft.schedule, immediately=False, start=job.schedule.start))
        try:
            await self._services.jobs.validate(self._identity, draft)
        except InvalidInput as error:
            return to_form_errors(error.faults) | unreadable
        except OperationRefused as error:
            return {"source": error.detail} | unreadable
        return unreadable


def show_in_list(back: str, job_id: UUID) -> str:
    """Return the address to go back to; the list of jobs shows and marks this job, whatever its filter."""
    path = to_local_path(back)
    is_list = path.partition("?")[0] == "/jobs"
    return f"{path}{'&' if '?' in path else '?'}shown={job_id}#job-{job_id}" if is_list else path


def _runs_once(job: Job) -> bool:
    # Such a job cannot be edited (J8).
    return job.schedule.kind == "once"


def _merge(sent: Submission, job: Job) -> Submission:
    theirs = JobForm.from_draft(JobDraft.from_job(job).to_domain())
    merge = merge_forms(sent.content.opened, theirs, sent.content.form)
    content = replace(
        sent.content, form=merge.form, opened=theirs, version=job.version, conflicts=merge.conflicts, note=""
    )
    return replace(sent, content=content)
