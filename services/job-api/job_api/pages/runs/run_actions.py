"""The actions on selected runs: cancel, clone their settings, open their files, remove them from history (H2)."""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from uuid import UUID

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from job_api.pages.kit.formats import format_instant
from job_api.pages.kit.forms import Form, parse_form
from job_api.pages.kit.identity import require_identity
from job_api.pages.kit.labels import RUN_STATE_LABELS
from job_api.pages.kit.navigation import to_local_path
from job_api.pages.kit.notices import redirect_refused, redirect_with_notice
from job_api.pages.kit.rendering import render
from job_api.pages.kit.services import get_services
from job_api.roles import ANY_ROLE
from shared.http.problems import Problem, ProblemType

MAX_SELECTED = 200
MAX_NAMED = 10
"""How many runs or files a confirmation names; of more it says the number."""
_REMOVAL_CHECKS, _REMOVAL_PAUSE_SECONDS = 20, 0.15


@dataclass(frozen=True, slots=True)
class _Confirmation:
    """What a page asks before an action: the question about one run or several, the consequence and the button."""

    question: str
    consequence: str
    button: str


_CONFIRMATIONS = {
    "cancel": _Confirmation(
        "Cancel {}?",
        "A run in progress stops within seconds, and its unfinished files are removed. Runs that have ended are not "
        "changed.",
        "Cancel {}",
    ),
    "remove": _Confirmation(
        "Remove {} from history?",
        "Files stay in Artifacts until their retention ends. Runs that have not ended are not removed.",
        "Remove from history",
    ),
}


async def submit_selected(request: Request) -> Response:
    """Carry out an action on the selected runs; one that cannot be undone is confirmed first."""
    await require_identity(request, *ANY_ROLE)
    form = await parse_form(request)
    back, run_ids = to_local_path(form.get("next"), default="/runs"), _parse_run_ids(form)
    match form.get("action"):
        case "clone" | "files" as action:
            return _redirect_to_run(action, run_ids, back)
        case "cancel" | "remove" if not run_ids:
            return redirect_with_notice(back, "select-runs")
        case "cancel" | "remove" as action if "confirmed" not in form:
            return await _ask_confirmation(request, action, run_ids, back=back)
        case "cancel":
            return await _cancel(request, run_ids, back)
        case "remove":
            return await _remove(request, run_ids, back)
    raise Problem(ProblemType.INVALID, "Runs have no such action.")


def _redirect_to_run(action: str, run_ids: Sequence[str], back: str) -> Response:
    if len(run_ids) != 1:
        return redirect_refused(back, "select-one-run", section="/runs", ticked=run_ids)
    path = {"clone": "/jobs/new", "files": "/artifacts"}[action]
    return RedirectResponse(f"{path}?run_id={run_ids[0]}", 303)


def _parse_run_ids(form: Form) -> list[str]:
    try:
        return [str(UUID(each)) for each in form.get_all("run")][:MAX_SELECTED]
    except ValueError:
        raise Problem(ProblemType.INVALID, "These are not the ids of runs.") from None


async def _ask_confirmation(request: Request, action: str, run_ids: Sequence[str], *, back: str) -> Response:
    several, text = len(run_ids) > 1, _CONFIRMATIONS[action]
    named = await asyncio.gather(*(_name_run(request, each) for each in run_ids[:MAX_NAMED]))
    return render(
        request,
        "kit/confirm.html",
        section="runs",
        action="/runs/selected",
        fields=[("action", action), ("confirmed", "yes"), ("next", back), *(("run", each) for each in run_ids)],
        question=text.question.format(f"these {len(run_ids)} runs" if several else "this run"),
        subjects=[each for each in named if each],
        more=max(0, len(run_ids) - MAX_NAMED),
        consequence=text.consequence,
        button=text.button.format("runs" if several else "run"),
        back=back,
    )


async def _name_run(request: Request, run_id: str) -> str:
    """Return a run's job and slot for people; empty for a run that is gone."""
    try:
        run = await get_services(request).history.get(request, f"/runs/{run_id}")
    except Problem as problem:
        if problem.status == 404:
            return ""
        raise
    at = run["slot"] or run["created_at"]
    return f"{run['title'] or 'Untitled job'}, {format_instant(at)}, {RUN_STATE_LABELS[run['state']].lower()}"


async def _cancel(request: Request, run_ids: Sequence[str], back: str) -> Response:
    history, name = get_services(request).history, await _name_only_run(request, run_ids)
    requested = [await _try(history.post(request, f"/runs/{run_id}/cancel")) for run_id in run_ids]
    return _redirect(back, "cancelled", requested, name)


async def _remove(request: Request, run_ids: Sequence[str], back: str) -> Response:
    name = await _name_only_run(request, run_ids)
    removed = [await _remove_one(request, run_id) for run_id in run_ids]
    # The page of a removed run no longer exists.
    return _redirect("/runs" if back.startswith("/runs/") and any(removed) else back, "removed", removed, name)


async def _name_only_run(request: Request, run_ids: Sequence[str]) -> str:
    """Return the name of the run that an action is about; empty for several."""
    return await _name_run(request, run_ids[0]) if len(run_ids) == 1 else ""


async def _remove_one(request: Request, run_id: str) -> bool:
    """Remove a run, wait up to 3 s until it can no longer be read, and return whether the removal was accepted."""
    services = get_services(request)
    if not await _try(services.history.delete(request, f"/runs/{run_id}")):
        return False
    for _ in range(_REMOVAL_CHECKS):
        try:
            await services.history.get(request, f"/runs/{run_id}")
        except Problem as problem:
            if problem.status == 404:
                break
            raise
        await services.clock.sleep(_REMOVAL_PAUSE_SECONDS)
    return True


async def _try(call: Awaitable[object]) -> bool:
    """Return whether history accepted a call; it rejects one for a run that is gone or in the wrong state."""
    try:
        await call
    except Problem as problem:
        if problem.status in {404, 409}:
            return False
        raise
    return True


def _redirect(back: str, what: str, done: Sequence[bool], name: str) -> Response:
    notice = f"runs-{what}" if all(done) else f"some-runs-{what}" if any(done) else f"no-runs-{what}"
    return redirect_with_notice(back, notice, sum(done), **({"run": name} if name else {}))
