"""The editor of jobs: new, cloned and changed ones; nothing that was typed is lost (J4, J8, J10, J12)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from job_api.bodies.clones import clone_job, clone_run
from job_api.bodies.drafts import JobDraft
from job_api.commands import run_once
from job_api.domain import Draft, Job, JobAction, apply_action
from job_api.domain.catalog import SOURCES, format_media_type
from job_api.domain.drafts import MAX_TITLE
from job_api.domain.sizes import find_size_warning
from job_api.errors import InvalidInput, LostUpdate, NotFound, OperationRefused
from job_api.pages.jobs.job_form import FIELD_LABELS, JobForm, parse_draft, to_form_errors
from job_api.pages.jobs.previews import SizePreview, estimate_size, preview_schedule
from job_api.pages.kit.certificates import describe_expiry, warn_of_expiry
from job_api.pages.kit.forms import Form, identify_submission, parse_form
from job_api.pages.kit.identity import require_identity
from job_api.pages.kit.navigation import to_local_path
from job_api.pages.kit.notices import redirect_with_notice
from job_api.pages.kit.rendering import render
from job_api.pages.kit.services import get_services
from job_api.roles import OPERATORS
from job_api.store import UnitOfWork
from shared.auth import Identity
from shared.http.idempotency import RenderedResponse
from shared.http.problems import Problem, ProblemType

_ADVANCED_FIELDS = ("compression", "cipher", "catch_up", "overlap", "attempts")
Difference = tuple[str, str, str]
"""A field that two people changed differently: its label, its value now, and the value in the form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EditorState:
    """What the editor shows: a form, the job that it changes, and what came of the last submission."""

    form: JobForm
    job: Job | None = None
    errors: Mapping[str, str] = field(default_factory=dict)
    differences: list[Difference] | None = None
    size: SizePreview | None = None
    status: int = 200
    back: str = ""


async def show_new_job(request: Request) -> Response:
    """Show an empty editor, or one filled with the settings of a job (`job_id`) or a run (`run_id`).

    Raises NotFound or Problem 404 for a job or run that does not exist or whose settings are not known.
    """
    identity = await require_identity(request, *OPERATORS)
    services, parameters = get_services(request), request.query_params
    form = JobForm.create_blank()
    if job_id := parameters.get("job_id"):
        view = await services.jobs.get(identity, _parse_id(job_id, "job"))
        draft = clone_job(view.job)
        form = JobForm.from_draft(replace(draft, title=f"Copy of {draft.title}"[:MAX_TITLE]))
    elif run_id := parameters.get("run_id"):
        run = await services.history.get(request, f"/runs/{_parse_id(run_id, 'run')}")
        if run["settings"] is None:
            raise Problem(ProblemType.NOT_FOUND, "The settings of this run are not known.")
        form = JobForm.from_draft(clone_run(run["settings"]))
    return await _render(request, identity, EditorState(form=form, back=parameters.get("next", "")))


async def create_job(request: Request) -> Response:
    """Save a new job, or show the form again with an error next to each field that has one."""
    identity = await require_identity(request, *OPERATORS)
    submission = await parse_form(request)
    form, back = JobForm.from_submission(submission), submission.get("next")
    draft, errors = parse_draft(form)
    if submission.get("action") == "check":
        return await _check(request, identity, EditorState(form=form, back=back))
    errors = await _find_errors(request, identity, draft) | errors
    if errors:
        return await _render(request, identity, EditorState(form=form, errors=errors, status=422, back=back))
    # Submitted twice, it is one job; changed and submitted again from the same page, it is another.
    services = get_services(request)

    async def create(work: UnitOfWork) -> RenderedResponse:
        return RenderedResponse({"id": str((await services.jobs.create(work, draft)).job.job_id)})

    await run_once(services.units, identity, await identify_submission(request), command=create)
    return redirect_with_notice(to_local_path(back), "job-created", job=draft.title.strip())


async def show_job(request: Request) -> Response:
    """Show a job in the editor. Raises OperationRefused for one that runs once (J8)."""
    identity = await require_identity(request, *OPERATORS)
    services = get_services(request)
    view = await services.jobs.get(identity, request.path_params["job_id"])
    apply_action(view.job, JobAction.EDIT, now=services.clock.now(), run_in_progress=None)
    form = JobForm.from_draft(JobDraft.from_job(view.job).to_domain())
    return await _render(
        request, identity, EditorState(form=form, job=view.job, back=request.query_params.get("next", ""))
    )


async def save_job(request: Request) -> Response:
    """Save the changes of a job, unless another user has changed it meanwhile."""
    identity = await require_identity(request, *OPERATORS)
    submission, services = await parse_form(request), get_services(request)
    form, version = JobForm.from_submission(submission), _parse_version(submission)
    draft, errors = parse_draft(form)
    job = (await services.jobs.get(identity, request.path_params["job_id"])).job
    opened = EditorState(form=form, job=replace(job, version=version), back=submission.get("next"))
    if submission.get("action") == "check":
        return await _check(request, identity, opened)
    if not errors:
        try:
            async with services.units.begin(identity) as work:
                await services.jobs.edit(work, job.job_id, versions=frozenset({version}), redraft=lambda _: draft)
        except InvalidInput as error:
            errors = to_form_errors(error.faults)
        except OperationRefused as error:
            errors = {"": error.detail}
        except LostUpdate:
            differences = _find_differences(JobForm.from_draft(JobDraft.from_job(job).to_domain()), form)
            return await _render(request, identity, replace(opened, job=job, differences=differences, status=412))
        else:
            return redirect_with_notice(to_local_path(opened.back), "job-saved", job=draft.title.strip())
    return await _render(request, identity, replace(opened, errors=errors, status=422))


async def show_preview(request: Request) -> Response:
    """Return a fragment of the editor for the present form: the next scheduled runs, or the estimated size."""
    identity = await require_identity(request, *OPERATORS)
    services, submission = get_services(request), await parse_form(request)
    draft, errors = parse_draft(JobForm.from_submission(submission))
    job_id = submission.get("job")
    job = (await services.jobs.get(identity, _parse_id(job_id, "job"))).job if job_id else None
    if request.path_params["part"] == "schedule":
        schedule = preview_schedule(services, draft, errors, job=job)
        return render(request, "jobs/preview_schedule.html", schedule=schedule)
    size = await estimate_size(services, identity, draft, errors=errors)
    return render(request, "jobs/preview_size.html", size=size)


async def _check(request: Request, identity: Identity, state: EditorState) -> Response:
    # For browsers without script: everything that the script shows while typing, and the errors of the form.
    draft, errors = parse_draft(state.form)
    size = await estimate_size(get_services(request), identity, draft, errors=errors)
    errors = await _find_errors(request, identity, draft, job=state.job) | errors
    return await _render(request, identity, replace(state, errors=errors, size=size))


async def _find_errors(request: Request, identity: Identity, draft: Draft, *, job: Job | None = None) -> dict[str, str]:
    if job is not None and draft.schedule.immediately and job.schedule.immediately:
        # The job keeps the instant at which it started (J10), which the rules of a new job would reject.
        draft = replace(draft, schedule=replace(draft.schedule, immediately=False, start=job.schedule.start))
    try:
        await get_services(request).jobs.validate(identity, draft)
    except InvalidInput as error:
        return to_form_errors(error.faults)
    except OperationRefused as error:
        return {"source": error.detail}
    return {}


async def _render(request: Request, identity: Identity, state: EditorState) -> Response:
    services, form, job = get_services(request), state.form, state.job
    draft, unreadable = parse_draft(form)
    active, now = await services.certificates.list_active(identity), services.clock.now()
    media_types = (await services.tenants.get(identity)).media_types
    return render(
        request,
        "jobs/editor.html",
        status=state.status,
        job=job,
        form=form,
        values=form.values,
        errors=state.errors,
        labels=FIELD_LABELS,
        differences=state.differences,
        action=f"/jobs/{job.job_id}/edit" if job else "/jobs/new",
        back=to_local_path(state.back),
        sources=SOURCES,
        media_types=[(each, format_media_type(each)) for each in media_types],
        certificates=[(str(each.certificate_id), each.name, describe_expiry(each.not_after, now)) for each in active],
        warnings=warn_of_expiry(active, now),
        shows_advanced=any(_is_notable(name, state) for name in _ADVANCED_FIELDS),
        schedule=preview_schedule(services, draft, unreadable, job=job),
        size=state.size or SizePreview(warning=find_size_warning(draft.split_size, None)),
    )


def _is_notable(name: str, state: EditorState) -> bool:
    return name in state.errors or state.form.values[name] != JobForm.create_blank().values[name]


def _find_differences(theirs: JobForm, mine: JobForm) -> list[Difference]:
    pairs = [(FIELD_LABELS[name], value, mine.values[name]) for name, value in theirs.values.items()]
    pairs += [("Media types", ", ".join(theirs.media), ", ".join(mine.media))]
    pairs += [("Certificates", f"{len(theirs.certificates)} selected", f"{len(mine.certificates)} selected")]
    return [pair for pair in pairs if pair[1] != pair[2]]


def _parse_version(form: Form) -> int:
    text = form.get("version")
    return int(text) if text.isdigit() and len(text) < 19 else 0


def _parse_id(text: str, what: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(what) from None
