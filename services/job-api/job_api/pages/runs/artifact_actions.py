"""Downloading, sharing and deleting files, one or several (A1, A3)."""

import asyncio
from collections.abc import Sequence
from urllib.parse import urlencode, urljoin
from uuid import UUID

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from job_api.pages.kit.formats import format_count
from job_api.pages.kit.forms import Form, parse_form
from job_api.pages.kit.identity import require_identity
from job_api.pages.kit.labels import DOWNLOADER_REQUIRED, OPERATOR_REQUIRED
from job_api.pages.kit.navigation import to_local_path
from job_api.pages.kit.notices import redirect_refused, redirect_with_notice
from job_api.pages.kit.rendering import render
from job_api.pages.kit.services import get_services
from job_api.pages.runs.run_actions import MAX_NAMED
from job_api.roles import ANY_ROLE, OPERATORS
from shared.auth import Identity
from shared.events.values import Role
from shared.http.problems import Problem, ProblemType

MAX_FILES = 100
"""How many files can be downloaded or deleted at once (A1)."""
DOWNLOADERS: tuple[Role, ...] = ("operator", "downloader")
_PAGE_SIZE = "200"


async def submit_selected(request: Request) -> Response:
    """Carry out an action on the selected files; deletion is confirmed first."""
    identity = await require_identity(request, *ANY_ROLE)
    form = await parse_form(request)
    back, action = to_local_path(form.get("next"), default="/artifacts"), form.get("action")
    file_ids = await _find_selected(request, form)
    if denial := explain_denials(identity).get(action):
        raise Problem(ProblemType.ACCESS_DENIED, denial)
    ticked = (*form.get_all("file"), *form.get_all("set"))
    if notice := _find_notice(action, file_ids):
        return redirect_refused(back, notice, section="/artifacts", ticked=ticked)
    match action:
        case "download":
            return _redirect_to_content(file_ids)
        case "link":
            return await _create_link(request, file_ids[0], back)
        case "delete" if "confirmed" in form:
            return await _delete(request, file_ids, back)
        case "delete":
            return await _ask_confirmation(request, file_ids, back)
    raise Problem(ProblemType.INVALID, "Files have no such action.")


async def download_file(request: Request) -> Response:
    """Redirect to the content of a file. Raises Problem 410 for one that has expired or been deleted."""
    await require_identity(request, *DOWNLOADERS)
    file = await get_services(request).history.get(request, f"/artifacts/{request.path_params['artifact_id']}")
    if file["state"] != "available":
        raise Problem(ProblemType.GONE, f"{file['name']} is no longer available: it has {_ENDINGS[file['state']]}.")
    return _redirect_to_content([file["id"]])


async def download_set(request: Request) -> Response:
    """Redirect to one archive of all files of a set. Raises Problem 410 if none of them is available any more."""
    await require_identity(request, *DOWNLOADERS)
    run_id, kind = str(request.path_params["run_id"]), request.path_params["kind"]
    file_ids = await _find_set(request, run_id, kind)
    if not file_ids:
        raise Problem(ProblemType.GONE, "The files of this set are no longer available.")
    if len(file_ids) > MAX_FILES:
        return redirect_with_notice(f"/artifacts?{urlencode({'run_id': run_id, 'each_file': 'yes'})}", "too-many-files")
    return _redirect_to_content(file_ids)


def explain_denials(identity: Identity) -> dict[str, str]:
    """Return for each action why an identity may not take it; empty for the actions that it may."""
    downloading = "" if identity.may(*DOWNLOADERS) else DOWNLOADER_REQUIRED
    deleting = "" if identity.may(*OPERATORS) else OPERATOR_REQUIRED
    return {"download": downloading, "link": downloading, "delete": deleting}


_ENDINGS = {"expired": "expired", "deleted": "been deleted"}


async def _find_selected(request: Request, form: Form) -> list[str]:
    """Return the ids of the selected files, including those of selected sets. Raises Problem 422 for other values."""
    try:
        file_ids = [str(UUID(each)) for each in form.get_all("file")]
        sets = [(str(UUID(run_id)), kind) for run_id, _, kind in (each.partition(":") for each in form.get_all("set"))]
    except ValueError:
        raise Problem(ProblemType.INVALID, "These are not the ids of files.") from None
    for run_id, kind in sets[:MAX_FILES]:
        file_ids += await _find_set(request, run_id, kind)
    return list(dict.fromkeys(file_ids))


async def _find_set(request: Request, run_id: str, kind: str) -> list[str]:
    """Return the ids of a set's available files; of a very large set, only more than can be selected at once."""
    history, query = get_services(request).history, [*_SET_QUERY, ("run_id", run_id)]
    found = await history.get(request, "/artifacts", query)
    file_ids = [each["id"] for each in found["items"] if each["kind"] == kind]
    while found.get("next") and len(file_ids) <= MAX_FILES:
        found = await history.get(request, "/artifacts", [*query, ("cursor", found["next"])])
        file_ids += [each["id"] for each in found["items"] if each["kind"] == kind]
    return file_ids


_SET_QUERY = [("state", "available"), ("sort", "name"), ("limit", _PAGE_SIZE)]


def _find_notice(action: str, file_ids: Sequence[str]) -> str | None:
    """Return the notice for a selection that the action cannot be applied to; None for one that it can."""
    if not file_ids:
        return "select-files"
    if len(file_ids) > MAX_FILES:
        return "too-many-files"
    return "select-one-file" if action == "link" and len(file_ids) > 1 else None


def _redirect_to_content(file_ids: Sequence[str]) -> Response:
    if len(file_ids) == 1:
        return RedirectResponse(f"/api/v1/artifacts/{file_ids[0]}/content", 303)
    return RedirectResponse(f"/api/v1/artifacts/archive?{urlencode([('id', each) for each in file_ids])}", 303)


async def _create_link(request: Request, file_id: str, back: str) -> Response:
    history = get_services(request).history
    file = await history.get(request, f"/artifacts/{file_id}")
    link = await history.post(request, f"/artifacts/{file_id}/link")
    address = urljoin(str(request.base_url), str(link["path"]))
    return render(
        request, "runs/link.html", name=file["name"], address=address, expires_at=link["expires_at"], back=back
    )


async def _delete(request: Request, file_ids: Sequence[str], back: str) -> Response:
    history, names = get_services(request).history, await _name_files(request, file_ids)
    try:
        await history.delete(request, "/artifacts", [("id", each) for each in file_ids])
    except Problem as problem:
        if problem.type is ProblemType.FILES_NOT_DELETED:
            return redirect_refused(back, "refused", section="/artifacts", ticked=file_ids, reason=problem.detail)
        raise
    only = {"file": names[0]} if len(file_ids) == 1 else {}
    return redirect_with_notice(back, "files-deleted", len(file_ids), **only)


async def _name_files(request: Request, file_ids: Sequence[str]) -> list[str]:
    """Return the names of the first files."""
    history = get_services(request).history
    files = await asyncio.gather(*(history.get(request, f"/artifacts/{each}") for each in file_ids[:MAX_NAMED]))
    return [file["name"] for file in files]


async def _ask_confirmation(request: Request, file_ids: Sequence[str], back: str) -> Response:
    several = len(file_ids) > 1
    return render(
        request,
        "kit/confirm.html",
        section="artifacts",
        action="/artifacts/selected",
        fields=[("action", "delete"), ("confirmed", "yes"), ("next", back), *(("file", each) for each in file_ids)],
        question=f"Delete these {len(file_ids)} files?" if several else "Delete this file?",
        subjects=await _name_files(request, file_ids),
        more=max(0, len(file_ids) - MAX_NAMED),
        consequence="They are deleted at once and cannot be restored. The job can be run again to export the records "
        "anew.",
        button=f"Delete {format_count(len(file_ids), 'file')}",
        back=back,
    )
