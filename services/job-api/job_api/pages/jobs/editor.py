"""The editor of jobs: new, cloned and changed ones (J4, J8, J10, J12). It shows a draft, at the draft's own address.

The address has the id of a draft from the beginning, and the draft is stored once something is submitted or typed:
going back and forward, reloading and logging in again show what was typed.
"""

from dataclasses import replace
from urllib.parse import urlencode
from uuid import UUID

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from job_api.bodies.clones import clone_job, clone_run
from job_api.bodies.drafts import JobDraft
from job_api.domain import Draft, Job, JobAction, apply_action
from job_api.domain.catalog import SOURCES, format_media_type
from job_api.domain.drafts import MAX_TITLE
from job_api.domain.sizes import find_size_warning
from job_api.errors import NotFound
from job_api.pages.jobs.draft_content import (
    CHOICE,
    DELETED,
    NOTES,
    OPENED,
    DraftContent,
    create_draft_id,
    parse_id,
    to_editor,
)
from job_api.pages.jobs.job_form import FIELD_LABELS, JobForm, parse_draft
from job_api.pages.jobs.merging import SETTINGS, describe_setting
from job_api.pages.jobs.previews import SizePreview, estimate_size, preview_schedule
from job_api.pages.kit.certificates import describe_expiry, warn_of_expiry
from job_api.pages.kit.forms import parse_form
from job_api.pages.kit.identity import require_identity
from job_api.pages.kit.navigation import to_local_path
from job_api.pages.kit.notices import redirect_with_notice
from job_api.pages.kit.rendering import render
from job_api.pages.kit.services import get_services
from job_api.roles import OPERATORS
from job_api.store.drafts import StoredDraft
from shared.auth import Identity
from shared.http.problems import Problem, ProblemType
from shared.object_names import PLACEHOLDERS

_ADVANCED_FIELDS = ("compression", "cipher", "catch_up", "overlap", "attempts")
_LABELS = {
    **{CHOICE + name: label for name, (label, _) in SETTINGS.items()},
    **FIELD_LABELS,
    "certificate-name": "Name of the certificate",
    "certificate-file": "Certificate",
}
"""What the list of errors calls each field, in the order of the form."""
Difference = tuple[str, str, str, str]
"""A setting that two users changed differently: its name, its label, their value, and mine."""


async def show_new_job(request: Request) -> Response:
    """Show an empty editor, or one filled with the settings of a job (`job_id`) or a run (`run_id`), or a draft.

    Raises NotFound or Problem 404 for a job or run that does not exist or whose settings are not known.
    """
    identity = await require_identity(request, *OPERATORS)
    services, parameters = get_services(request), request.query_params
    draft_id = parse_id(parameters.get("draft", ""))
    stored = await services.drafts.get(identity, draft_id) if draft_id else None
    if stored is not None and stored.saved_as is not None:
        return await _lead_to_saved(request, identity, stored.saved_as)
    content = DraftContent.from_document(stored.content) if stored else None
    if content is None:
        content = DraftContent(form=await _load_form(request, identity))
    if draft_id is None:
        return RedirectResponse(f"/jobs/new?{_with_draft(request)}", 303)
    return await _render(request, identity, content, draft_id=draft_id, stored=stored)


async def show_job(request: Request) -> Response:
    """Show a job in the editor, or a draft of its changes.

    Raises NotFound, and OperationRefused for a job that runs once (J8).
    """
    identity = await require_identity(request, *OPERATORS)
    services, job_id = get_services(request), request.path_params["job_id"]
    draft_id = parse_id(request.query_params.get("draft", ""))
    stored = await services.drafts.get(identity, draft_id) if draft_id else None
    try:
        job = (await services.jobs.get(identity, job_id)).job
    except NotFound:
        if stored is None or stored.saved_as is not None:
            raise
        # Deleted while it was edited: what was typed can be saved as a new job.
        return RedirectResponse(f"/jobs/new?{request.url.query}", 303)
    apply_action(job, JobAction.EDIT, now=services.clock.now(), run_in_progress=None)
    if draft_id is None or (stored is not None and stored.saved_as is not None):
        return RedirectResponse(f"/jobs/{job_id}/edit?{_with_draft(request)}", 303)
    form = JobForm.from_draft(JobDraft.from_job(job).to_domain())
    content = DraftContent(form=form, opened=form, version=job.version)
    if stored is not None:
        content = DraftContent.from_document(stored.content)
    return await _render(request, identity, content, draft_id=draft_id, stored=stored, job=job)


async def show_preview(request: Request) -> Response:
    """Return a fragment of the editor for the present form: the next scheduled runs, or the estimated size."""
    identity = await require_identity(request, *OPERATORS)
    services, submission = get_services(request), await parse_form(request)
    draft, errors = parse_draft(JobForm.from_submission(submission))
    job = await _get_edited(request, identity, submission.get("job"))
    if request.path_params["part"] == "schedule":
        schedule = preview_schedule(services, draft, errors, job=job)
        return render(request, "jobs/preview_schedule.html", schedule=schedule)
    size = await estimate_size(services, identity, draft, errors=errors)
    return render(request, "jobs/preview_size.html", size=size)


async def _get_edited(request: Request, identity: Identity, job_id: str) -> Job | None:
    if not job_id:
        return None
    if (known := parse_id(job_id)) is None:
        raise NotFound("job")
    try:
        return (await get_services(request).jobs.get(identity, known)).job
    except NotFound:
        # Deleted while it is edited: its next runs are those of the job that the form will make.
        return None


async def _load_form(request: Request, identity: Identity) -> JobForm:
    services, parameters = get_services(request), request.query_params
    if job_id := parameters.get("job_id"):
        if (known := parse_id(job_id)) is None:
            raise NotFound("job")
        draft = clone_job((await services.jobs.get(identity, known)).job)
        return JobForm.from_draft(replace(draft, title=f"Copy of {draft.title}"[:MAX_TITLE]))
    if run_id := parameters.get("run_id"):
        if (known := parse_id(run_id)) is None:
            raise NotFound("run")
        run = await services.history.get(request, f"/runs/{known}")
        if run["settings"] is None:
            raise Problem(ProblemType.NOT_FOUND, "The settings of this run are not known.")
        return JobForm.from_draft(clone_run(run["settings"]))
    return JobForm.create_blank()


def _with_draft(request: Request) -> str:
    """Return the query of this address with the id of a new draft."""
    return str(request.url.include_query_params(draft=str(create_draft_id())).query)


async def _lead_to_saved(request: Request, identity: Identity, job_id: UUID) -> Response:
    job = (await get_services(request).jobs.get(identity, job_id)).job
    query = urlencode({"next": to_local_path(request.query_params.get("next", ""))})
    return redirect_with_notice(f"/jobs/{job_id}/edit?{query}", "already-saved", job=job.settings.title)


async def _render(
    request: Request,
    identity: Identity,
    content: DraftContent,
    *,
    draft_id: UUID,
    stored: StoredDraft | None,
    job: Job | None = None,
) -> Response:
    services, form = get_services(request), content.form
    draft, unreadable = parse_draft(form)
    active, now = await services.certificates.list_active(identity), services.clock.now()
    tenant, destinations = await services.tenants.get(identity), await services.destinations.list_by_name(identity)
    names = {str(each.certificate_id): each.name for each in active}
    names |= {str(each.destination_id): each.name for each in destinations}
    job_id = job.job_id if job is not None else None
    back = to_local_path(request.query_params.get("next", ""))
    note = DELETED if job is None and stored is not None and stored.job_id is not None else content.note
    is_checked = "checked" in request.query_params
    unfinished = await services.drafts.find_latest(identity, job_id) if stored is None else None
    return render(
        request,
        "jobs/editor.html",
        job=job,
        draft_id=draft_id,
        tenant_name=tenant.name,
        unfinished=unfinished,
        unfinished_address=to_editor(job_id, unfinished.draft_id, back=back) if unfinished else "",
        form=form,
        values=form.values,
        errors={name: content.errors[name] for name in ("", *_LABELS) if name in content.errors},
        labels=_LABELS,
        has_typed=stored is not None,
        note=note,
        note_text=NOTES.get(note),
        version=content.version,
        opened=content.opened.to_fields(OPENED) if content.opened is not None else (),
        differences=_find_differences(content, names),
        destinations=destinations,
        placeholders=PLACEHOLDERS,
        action=f"/jobs/{job_id}/edit" if job_id else "/jobs/new",
        back=back,
        sources=SOURCES,
        media_types=[(each, format_media_type(each)) for each in tenant.media_types],
        certificates=[(str(each.certificate_id), each.name, describe_expiry(each.not_after, now)) for each in active],
        warnings=warn_of_expiry(active, now),
        shows_advanced=any(_is_notable(name, content) for name in _ADVANCED_FIELDS),
        schedule=preview_schedule(services, draft, unreadable, job=job),
        size=await _load_size(request, identity, draft, is_checked=is_checked),
    )


async def _load_size(request: Request, identity: Identity, draft: Draft, *, is_checked: bool) -> SizePreview:
    # For browsers without script, which ask for it: others load it while the page is read.
    if is_checked:
        return await estimate_size(get_services(request), identity, draft, errors={})
    return SizePreview(warning=find_size_warning(draft.split_size, None))


def _is_notable(name: str, content: DraftContent) -> bool:
    return name in content.errors or content.form.values[name] != JobForm.create_blank().values[name]


def _find_differences(content: DraftContent, names: dict[str, str]) -> list[Difference]:
    opened = content.opened
    if opened is None:
        return []
    return [
        (
            name,
            SETTINGS[name][0],
            describe_setting(opened, name, names),
            describe_setting(content.form, name, names),
        )
        for name in content.conflicts
    ]
