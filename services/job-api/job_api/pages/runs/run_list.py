"""The list of runs, and what can be done with those that are chosen in it (H1)."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from job_api.history_client import Log, Query, is_away
from job_api.pages.kit import lists
from job_api.pages.kit.forms import Form, form_of
from job_api.pages.kit.notices import done
from job_api.pages.kit.rendering import ANYBODY, STATUS_WORDS, local, render, visitor
from job_api.pages.runs.descriptions import SOURCES, TYPES, why
from job_api.roles import WRITERS
from job_api.service import Access
from shared.auth import Identity
from shared.clock import Clock
from shared.http.problems import Problem, ProblemType

COLUMNS = (
    ("Job", "title"),
    ("Status", "state"),
    ("Source", "source"),
    ("Type", "type"),
    ("Started", "started"),
    ("Duration", "duration"),
    ("Rows", "rows"),
    ("Files", "files"),
)
STATES = {name: words for name, words in STATUS_WORDS.items() if name != "none"}
ENDED = frozenset({"succeeded", "failed", "cancelled", "skipped"})
AT_ONCE = 200
LENGTHS = {"60": "over 1 min", "600": "over 10 min", "3600": "over 1 h", "21600": "over 6 h"}
FILES = {"true": "with files", "false": "without"}
_PASSED_ON = ("job", "type", "source", "q", "longer_than", "with_files", "cursor")
_FILTERS = ("q", "state", "type", "source", "longer_than", "with_files", "since", "until")
_ACTIVE = ("queued", "running")
_REMOVAL_TURNS, _REMOVAL_PAUSE = 20, 0.15
_CANCELLING = (
    "Work in progress stops within seconds, and its unfinished files are removed. What has ended stays as it is."
)
_REMOVING = (
    "The log forgets it. Files stay in Artifacts until their own time is over. What has not ended is not removed."
)


async def run_list(access: Access, log: Log, request: Request) -> Response:
    """Show a page of the runs, of all jobs or one."""
    who = await visitor(access, request, *ANYBODY)
    sort = request.query_params.get("sort") or "-created"
    query = [*_filters(request), ("sort", sort), ("limit", "50")]
    try:
        found, counts = await asyncio.gather(
            log.get(request, "/runs", query),
            log.get(request, "/runs/counts", _without(query, "sort", "limit", "cursor")),
        )
    except Problem as problem:
        if is_away(problem):
            return history_away(request, problem, title="History", here_is="runs")
        raise
    items = found["items"]
    newest = _newest(request, items)
    return render(
        request,
        "runs.html",
        rows=[shown(run) for run in items],
        heads=lists.heads(request, COLUMNS, sort),
        sort=request.query_params.get("sort"),
        filters=_shown_filters(request, counts),
        job=request.query_params.get("job"),
        job_title=items[0]["title"] if items and request.query_params.get("job") else None,
        newest=newest,
        # Of a list that is filtered or sorted otherwise, all that changed since its newest run may be very much.
        after=None if newest is None or "job" in request.query_params else _latest(items),
        first=lists.link(request, cursor=None) if request.query_params.get("cursor") else None,
        following=lists.link(request, cursor=found["next"]) if found.get("next") else None,
        refused=denied(who),
        here=lists.link(request),
    )


async def acting(access: Access, log: Log, clock: Clock, request: Request) -> Response:
    """Do with the chosen runs what the form says; what cannot be taken back is asked for once more."""
    await visitor(access, request, *ANYBODY)
    form = await form_of(request)
    back, chosen = local(form.get("next") or "/runs"), _ids(form)
    match form.get("do"):
        case "clone" | "files" as wanted if len(chosen) == 1:
            return RedirectResponse({"clone": "/jobs/new?run=", "files": "/artifacts?run="}[wanted] + chosen[0], 303)
        case "clone" | "files":
            return done(back, "choose-one-run")
        case "cancel" | "remove" as wanted if chosen:
            if form.has("sure"):
                return await _carried_out(log, clock, request, (wanted, chosen, back))
            return _asked(request, wanted, chosen, back)
        case "cancel" | "remove":
            return done(back, "choose-runs")
    raise Problem(ProblemType.INVALID, "This cannot be done with runs.")


def shown(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run as the pages show it."""
    estimate = run.get("estimate") or {}
    status = {
        "state": run["state"],
        "progress": run["share"],
        "eta_seconds": estimate.get("seconds"),
        "eta_low": estimate.get("low"),
        "eta_high": estimate.get("high"),
        "message": why(run),
    }
    source, kind = run.get("source") or "", run.get("type") or ""
    words = {"source_words": SOURCES.get(source, source), "type_words": TYPES.get(kind, kind)}
    return dict(run) | words | {"status": status, "ended": run["state"] in ENDED}


def denied(who: Identity) -> str:
    """Return why somebody may only look at runs; empty for those who may more."""
    return "" if who.may(*WRITERS) else "This needs the role operator; ask an administrator."


def history_away(request: Request, problem: Problem, *, title: str, here_is: str) -> Response:
    """Say that history is away, and when to look again."""
    page = render(request, "away.html", status=problem.status, title=title, here_is=here_is, problem=problem)
    page.headers.update(problem.headers)
    return page


def _filters(request: Request) -> Query:
    given = request.query_params
    query = [(name, given[name]) for name in _PASSED_ON if given.get(name)]
    match given.get("state"):
        case "active":
            query += [("state", state) for state in _ACTIVE]
        case str() as state if state:
            query.append(("state", state))
    for name, ours in (("since", "since"), ("before", "until")):
        if instant := lists.day(given.get(ours, ""), after=ours == "until"):
            query.append((name, instant))
    return query


def _latest(items: Sequence[Mapping[str, Any]]) -> int | None:
    """Return the version up to which the page tells."""
    return max((run["version"] for run in items), default=None)


def _newest(request: Request, items: Sequence[Mapping[str, Any]]) -> str | None:
    """Return when the newest run on the page was created; None where newer ones would not come first."""
    if set(request.query_params) - {"job", "sort"} or request.query_params.get("sort") not in {None, "-created"}:
        return None
    # As history writes instants, so that the script can compare them as they come.
    return items[0]["created_at"].isoformat().replace("+00:00", "Z") if items else ""


def _without(query: Query, *names: str) -> Query:
    return [(name, value) for name, value in query if name not in names]


def _shown_filters(request: Request, counts: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: request.query_params.get(name, "") for name in _FILTERS}
    states: Mapping[str, int] = counts["state"]
    active = sum(states.get(state, 0) for state in _ACTIVE)
    words = {"active": "Waiting or in progress"} | STATES
    return given | {
        "set": any(given.values()),
        "states": lists.options(words, {"active": active, **states}, given["state"]),
        "types": lists.options(TYPES, counts["type"], given["type"]),
        "sources": lists.options(SOURCES, counts["source"], given["source"]),
        "lengths": lists.options(LENGTHS, {}, given["longer_than"]),
        "files": lists.options(FILES, {}, given["with_files"]),
    }


def _ids(form: Form) -> list[str]:
    """Return the chosen runs' ids. Raises Problem 422 for what is none."""
    try:
        return [str(UUID(each)) for each in form.all("run")][:AT_ONCE]
    except ValueError:
        raise Problem(ProblemType.INVALID, "These are no runs.") from None


def _asked(request: Request, wanted: str, chosen: Sequence[str], back: str) -> Response:
    several = len(chosen) > 1
    them = f"these {len(chosen)} runs" if several else "this run"
    question, consequence, words = {
        "cancel": (f"Cancel {them}?", _CANCELLING, "Cancel the runs" if several else "Cancel the run"),
        "remove": (f"Remove {them} from the log?", _REMOVING, "Remove from the log"),
    }[wanted]
    return render(
        request,
        "confirm.html",
        here_is="runs",
        action="/runs/chosen",
        fields=[("do", wanted), ("sure", "yes"), ("next", back), *(("run", each) for each in chosen)],
        question=question,
        consequence=consequence,
        words=words,
        back=back,
    )


async def _carried_out(log: Log, clock: Clock, request: Request, what: tuple[str, Sequence[str], str]) -> Response:
    wanted, chosen, back = what
    if wanted == "cancel":
        asked = [await _accepted(log, request, "POST", f"/runs/{each}/cancel") for each in chosen]
        return _told(back, "cancelled", asked)
    gone = [await _removed(log, clock, request, each) for each in chosen]
    # A run's own page is gone with it.
    return _told("/runs" if back.startswith("/runs/") and any(gone) else back, "removed", gone)


def _told(back: str, what: str, each_done: Sequence[bool]) -> Response:
    kind = f"runs-{what}" if all(each_done) else f"some-runs-{what}" if any(each_done) else f"no-runs-{what}"
    return done(back, kind, sum(each_done))


async def _removed(log: Log, clock: Clock, request: Request, run_id: str) -> bool:
    """Have a run removed, and wait a moment until the log shows it, so that the next page does."""
    if not await _accepted(log, request, "DELETE", f"/runs/{run_id}"):
        return False
    for _ in range(_REMOVAL_TURNS):
        try:
            await log.get(request, f"/runs/{run_id}")
        except Problem as problem:
            if problem.status == 404:
                break
            raise
        await clock.sleep(_REMOVAL_PAUSE)
    return True


async def _accepted(log: Log, request: Request, method: str, path: str) -> bool:
    """Return whether history did as asked; a run that has ended, or is gone, leaves it as it is."""
    try:
        await log.do(request, method, path)
    except Problem as problem:
        if problem.status in {404, 409}:
            return False
        raise
    return True
