"""The actions on the selected jobs of the list, and on one from the menu of its row; the result of each is said."""

from collections.abc import Mapping, Sequence
from typing import Any, cast
from urllib.parse import urlencode
from uuid import UUID

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from job_api.commands import run_once
from job_api.domain import find_refusals
from job_api.errors import NotFound
from job_api.pages.jobs.draft_content import parse_id
from job_api.pages.kit.formats import format_count
from job_api.pages.kit.forms import identify_submission, parse_form
from job_api.pages.kit.identity import require_identity
from job_api.pages.kit.labels import OPERATOR_REQUIRED
from job_api.pages.kit.navigation import to_local_path
from job_api.pages.kit.notices import redirect_with_notice
from job_api.pages.kit.rendering import render
from job_api.pages.kit.services import get_services
from job_api.roles import OPERATORS, READERS
from job_api.service.bulk import BulkAction, act_on_jobs, to_document
from job_api.store import UnitOfWork
from shared.auth import Identity
from shared.http.idempotency import IdempotencyStore, RenderedResponse
from shared.http.problems import Problem, ProblemType

SELECTED_MAX = 200
"""The most jobs that are acted on at once: the longest page of the list."""
_DONE = {
    "suspend": "is suspended: its scheduled runs are skipped. A run in progress continues.",
    "resume": "is active again.",
    "run": "will run as soon as an exporter is free.",
    "delete": "has been deleted. Its runs and files are kept until their retention ends.",
}
_SUMMARIES = {"suspend": "Suspended", "resume": "Active again", "run": "Runs requested", "delete": "Deleted"}
Outcome = tuple[str, str, str, bool]
"""What came of an action on one job: its id, its title, a sentence about it, and whether it was refused."""


async def submit_selected(request: Request) -> Response:
    """Carry out what a button of the toolbar or of a row's menu does, or lead to the page that does."""
    identity = await require_identity(request, *READERS)
    form = await parse_form(request)
    back, action, chosen = to_local_path(form.get("next")), form.get("action"), form.get_all("job")
    if only := form.get("only"):
        action, _, job_id = only.partition(":")
        chosen = (job_id,)
    ids = [found for each in chosen[: SELECTED_MAX + 1] if (found := parse_id(each)) is not None]
    if not ids:
        return redirect_with_notice(back, "select-job")
    if len(ids) > SELECTED_MAX or (action in {"edit", "clone", "history"} and len(ids) > 1):
        return redirect_with_notice(back, "select-one-job")
    if action in {"run", "suspend", "resume"}:
        return await _act(request, identity, cast("BulkAction", action), dict.fromkeys(ids))
    return RedirectResponse(_find_page(action, ids, back), 303)


def _find_page(action: str, ids: Sequence[UUID], back: str) -> str:
    """Return the address of the page that carries out an action. Raises Problem 422 for an unknown one."""
    match action:
        case "edit":
            return f"/jobs/{ids[0]}/edit?{urlencode({'next': back})}"
        case "clone":
            return f"/jobs/new?{urlencode({'job_id': ids[0], 'next': back})}"
        case "history":
            return f"/runs?job_id={ids[0]}"
        case "delete" if len(ids) == 1:
            return f"/jobs/{ids[0]}/delete?{urlencode({'next': back})}"
        case "delete":
            return f"/jobs/delete?{urlencode([*(('job', each) for each in ids), ('next', back)])}"
    raise Problem(ProblemType.INVALID, "Jobs have no such action.")


async def confirm_deletions(request: Request) -> Response:
    """Ask for confirmation before several jobs are deleted; say which cannot be, and why."""
    identity = await require_identity(request, *OPERATORS)
    services, jobs = get_services(request), list[tuple[str, str, str | None]]()
    for text in request.query_params.getlist("job")[:SELECTED_MAX]:
        if (job_id := parse_id(text)) is None:
            continue
        view = await services.jobs.get(identity, job_id)
        refusals = find_refusals(view.job, now=services.clock.now(), run_in_progress=view.run_in_progress)
        jobs.append((f"{job_id}:{view.job.version}", view.job.settings.title, refusals.get("delete")))
    deletable = [each for each in jobs if each[2] is None]
    return render(
        request,
        "jobs/delete_several.html",
        jobs=jobs,
        deletable=deletable,
        question=f"Delete {format_count(len(deletable), 'job')}?",
        back=to_local_path(request.query_params.get("next", "")),
    )


async def delete_jobs(request: Request) -> Response:
    """Delete several jobs, those that are still as the confirmation showed them."""
    identity = await require_identity(request, *OPERATORS)
    chosen: dict[UUID, int | None] = {}
    for text in (await parse_form(request)).get_all("job")[:SELECTED_MAX]:
        job_id, _, version = text.partition(":")
        if (found := parse_id(job_id)) is not None:
            chosen[found] = int(version) if version.isdecimal() and len(version) < 19 else 0
    return await _act(request, identity, "delete", chosen)


async def load_outcomes(request: Request, identity: Identity) -> tuple[str, list[Outcome]] | None:
    """Return a summary and the outcome of each job of the action that the address reports, if it reports one."""
    key = request.query_params.get("done", "")
    if not key.startswith("page-"):
        return None
    async with get_services(request).units.begin(identity) as work:
        found = await IdempotencyStore(work.connection, identity).find_body(key)
    action = found.get("action") if found is not None else None
    if found is None or action not in _DONE:
        return None
    outcomes = [_to_outcome(action, each) for each in found["jobs"]]
    done = sum(1 for each in outcomes if not each[3])
    return f"{_SUMMARIES[action]}: {done:,} of {format_count(len(outcomes), 'job')}.", outcomes


async def _act(request: Request, identity: Identity, action: BulkAction, chosen: Mapping[UUID, int | None]) -> Response:
    if not identity.may(*OPERATORS):
        raise Problem(ProblemType.ACCESS_DENIED, OPERATOR_REQUIRED)
    services, submission = get_services(request), await identify_submission(request)

    async def act(work: UnitOfWork) -> RenderedResponse:
        outcomes = await act_on_jobs(work, services.jobs, action, chosen=chosen)
        if not outcomes:
            raise NotFound("job")
        return RenderedResponse(to_document(action, outcomes))

    await run_once(services.units, identity, submission, command=act)
    back = to_local_path((await parse_form(request)).get("next"))
    return RedirectResponse(f"{back}{'&' if '?' in back else '?'}{urlencode({'done': submission.key})}", 303)


def _to_outcome(action: str, found: Mapping[str, Any]) -> Outcome:
    refusal = found["refusal"]
    return found["job_id"], found["title"], f"was left as it is. {refusal}" if refusal else _DONE[action], bool(refusal)
