"""The list of files, and fetching, handing out and deleting those that are chosen in it (A1, A3)."""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urljoin
from uuid import UUID

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from job_api.history_client import Log, Query, is_away
from job_api.pages.kit import lists
from job_api.pages.kit.forms import Form, form_of
from job_api.pages.kit.notices import done
from job_api.pages.kit.rendering import ANYBODY, local, render, visitor
from job_api.pages.runs.descriptions import TYPES, amount
from job_api.pages.runs.file_sets import Row, rows_of, unfinished
from job_api.pages.runs.run_list import history_away
from job_api.roles import WRITERS
from job_api.service import Access
from shared.auth import Identity
from shared.events.values import Role
from shared.http.problems import Problem, ProblemType

COLUMNS = (
    ("Job", "title"),
    ("Type", "type"),
    ("Files", None),
    ("Created", "created"),
    ("Size", "size"),
    ("Days remaining", "expires"),
    ("State", "state"),
)
STATES = {"available": "Available", "expired": "Expired", "deleted": "Deleted"}
AT_ONCE = 100
DOWNLOADERS: tuple[Role, ...] = ("operator", "downloader")
_PASSED_ON = ("job", "run", "type", "state", "q", "cursor")
_FILTERS = ("q", "type", "state", "since", "until")
_PAGE = "200"


async def artifact_list(access: Access, log: Log, request: Request) -> Response:
    """Show a page of the files; the parts of a set as one, unless each is asked for."""
    who = await visitor(access, request, *ANYBODY)
    sort = request.query_params.get("sort") or "-created"
    query = _filters(request)
    try:
        found, counts = await asyncio.gather(
            log.get(request, "/artifacts", [*query, ("sort", sort), ("limit", _PAGE)]),
            log.get(request, "/artifacts/counts", [each for each in query if each[0] != "cursor"]),
        )
        rows = await _rows(log, request, found["items"])
    except Problem as problem:
        if is_away(problem):
            return history_away(request, problem, title="Artifacts", here_is="artifacts")
        raise
    past = " ".join(unfinished(rows)) if found.get("next") else None
    return render(
        request,
        "artifacts.html",
        rows=rows,
        heads=lists.heads(request, COLUMNS, sort),
        sort=request.query_params.get("sort"),
        filters=_shown_filters(request, counts),
        of={name: request.query_params.get(name) for name in ("job", "run")},
        of_title=rows[0].title if rows else "",
        each=bool(request.query_params.get("each")),
        toggled=lists.link(request, each=None if request.query_params.get("each") else "yes", cursor=None, past=None),
        first=lists.link(request, cursor=None, past=None) if request.query_params.get("cursor") else None,
        following=lists.link(request, cursor=found["next"], past=past) if found.get("next") else None,
        refused=refused(who),
        at_once=AT_ONCE,
        here=lists.link(request),
    )


async def acting(access: Access, log: Log, request: Request) -> Response:
    """Do with the chosen files what the form says; deleting is asked for once more."""
    who = await visitor(access, request, *ANYBODY)
    form = await form_of(request)
    back, wanted = local(form.get("next") or "/artifacts"), form.get("do")
    chosen = await _chosen(log, request, form)
    if why := refused(who).get(wanted):
        raise Problem(ProblemType.ACCESS_DENIED, why)
    if (impossible := _impossible(wanted, chosen)) is not None:
        return done(back, impossible)
    match wanted:
        case "download":
            return _content(chosen)
        case "link":
            return await _link(log, request, chosen[0], back)
        case "delete" if form.has("sure"):
            await log.do(request, "DELETE", "/artifacts", [("id", each) for each in chosen])
            return done(back, "files-deleted", len(chosen))
        case "delete":
            return _asked(request, chosen, back)
    raise Problem(ProblemType.INVALID, "This cannot be done with files.")


async def download(access: Access, log: Log, request: Request) -> Response:
    """Lead to a file's content, or say in words why it is not there."""
    await visitor(access, request, *DOWNLOADERS)
    found = await log.get(request, f"/artifacts/{request.path_params['artifact_id']}")
    if found["state"] != "available":
        raise Problem(ProblemType.GONE, f"{found['name']} is no longer there: it has been {found['state']}.")
    return _content([found["id"]])


async def download_set(access: Access, log: Log, request: Request) -> Response:
    """Lead to one archive of all files of a set."""
    await visitor(access, request, *DOWNLOADERS)
    run_id, kind = str(request.path_params["run_id"]), request.path_params["kind"]
    ids = await _of_set(log, request, run_id, kind)
    if not ids:
        raise Problem(ProblemType.GONE, "No file of this set is there any more.")
    if len(ids) > AT_ONCE:
        return done(f"/artifacts?{urlencode({'run': run_id, 'each': 'yes'})}", "too-many-files")
    return _content(ids)


def refused(who: Identity) -> dict[str, str]:
    """Return for each action why somebody may not take it; empty for those they may."""
    fetching = "" if who.may(*DOWNLOADERS) else "This needs the role downloader or operator; ask an administrator."
    deleting = "" if who.may(*WRITERS) else "This needs the role operator; ask an administrator."
    return {"download": fetching, "link": fetching, "delete": deleting}


async def _rows(log: Log, request: Request, items: list[dict[str, Any]]) -> list[Row]:
    """Return the rows of a page, each set whole, though its files may be on several pages."""
    passed = frozenset((request.query_params.get("past") or "").split())
    rows = rows_of(items, each=bool(request.query_params.get("each")), passed=passed)
    cut = {row.run_id for row in rows if row.is_set and len(row.ids) < row.available}
    for run_id in cut:
        run = await log.get(request, f"/runs/{run_id}")
        whole = {each["kind"]: each for each in run["sets"]}
        rows = [row.whole(whole[row.kind]) if row.run_id == run_id and row.kind in whole else row for row in rows]
    return rows


async def _chosen(log: Log, request: Request, form: Form) -> list[str]:
    """Return the ids of the chosen files, those of chosen sets included. Raises Problem 422 for what is none."""
    try:
        chosen = [str(UUID(each)) for each in form.all("file")]
        sets = [(str(UUID(run)), kind) for run, _, kind in (each.partition(":") for each in form.all("set"))]
    except ValueError:
        raise Problem(ProblemType.INVALID, "These are no files.") from None
    for run_id, kind in sets[:AT_ONCE]:
        chosen += await _of_set(log, request, run_id, kind)
    return list(dict.fromkeys(chosen))


async def _of_set(log: Log, request: Request, run_id: str, kind: str) -> list[str]:
    """Return the ids of a set's files that are still there; of a very large set more than can be taken at once."""
    query = [("run", run_id), ("state", "available"), ("sort", "name"), ("limit", _PAGE)]
    found = await log.get(request, "/artifacts", query)
    ids = [each["id"] for each in found["items"] if each["kind"] == kind]
    while found.get("next") and len(ids) <= AT_ONCE:
        found = await log.get(request, "/artifacts", [*query, ("cursor", found["next"])])
        ids += [each["id"] for each in found["items"] if each["kind"] == kind]
    return ids


def _impossible(wanted: str, chosen: list[str]) -> str | None:
    """Return the name of what is to be said when these files cannot be taken; None when they can."""
    if not chosen:
        return "choose-files"
    if len(chosen) > AT_ONCE:
        return "too-many-files"
    return "choose-one-file" if wanted == "link" and len(chosen) > 1 else None


def _content(ids: list[str]) -> Response:
    one = f"/api/v1/artifacts/{ids[0]}/content"
    several = f"/api/v1/artifacts/archive?{urlencode([('id', each) for each in ids])}"
    return RedirectResponse(one if len(ids) == 1 else several, 303)


async def _link(log: Log, request: Request, artifact_id: str, back: str) -> Response:
    found = await log.get(request, f"/artifacts/{artifact_id}")
    made = await log.do(request, "POST", f"/artifacts/{artifact_id}/link")
    address = urljoin(str(request.base_url), str(made["path"]))
    return render(request, "link.html", file=found, address=address, until=made["expires_at"], back=back)


def _asked(request: Request, chosen: list[str], back: str) -> Response:
    them = "this file" if len(chosen) == 1 else f"these {len(chosen)} files"
    return render(
        request,
        "confirm.html",
        here_is="artifacts",
        action="/artifacts/chosen",
        fields=[("do", "delete"), ("sure", "yes"), ("next", back), *(("file", each) for each in chosen)],
        question=f"Delete {them}?",
        consequence="They are removed from the store at once and cannot be brought back; the export can be run again.",
        words=f"Delete {amount(len(chosen), 'file')}",
        back=back,
    )


def _filters(request: Request) -> Query:
    given = request.query_params
    query = [(name, given[name]) for name in _PASSED_ON if given.get(name)]
    for name, ours in (("since", "since"), ("before", "until")):
        if instant := lists.day(given.get(ours, ""), after=ours == "until"):
            query.append((name, instant))
    return query


def _shown_filters(request: Request, counts: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: request.query_params.get(name, "") for name in _FILTERS}
    return given | {
        "set": any(given.values()),
        "states": lists.options(STATES, counts["state"], given["state"]),
        "types": lists.options(TYPES, counts["type"], given["type"]),
    }
