"""Notices: what the next page says about a form that was submitted. A cookie holds the notice, which is shown once."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from job_api.pages.kit.navigation import to_local_path
from job_api.pages.kit.ticks import keep_ticks
from shared.http.untrusted import decode_json, find_cookie

NOTICE_COOKIE = "sluice_notice"
_MAX_AGE_SECONDS = 60
_MAX_VALUE, _MAX_REASON = 80, 500
_MAX_COOKIE = 3000
NOTICES = {
    "refused": "Nothing was changed: {reason}",
    "select-job": "Select a job first: tick the box at the start of its row.",
    "select-one-job": "Select exactly one job: tick the box at the start of its row.",
    "job-created": "The job {job} has been saved.",
    "job-saved": "The changes of the job {job} have been saved.",
    "job-merged": "Your changes of the job {job} have been saved, together with those that another user has made.",
    "already-saved": "The job {job} has been saved already. You are changing it now.",
    "job-deleted": "The job {job} has been deleted. Its runs and files are kept until their retention ends.",
    "job-suspended": "The job {job} is suspended: its scheduled runs are skipped. A run in progress continues.",
    "job-resumed": "The job {job} is active again.",
    "run-requested": "A run of {job} has been requested. It starts as soon as an exporter is free.",
    "certificate-uploaded": "The certificate {certificate} has been uploaded.",
    "certificate-retired": "The certificate {certificate} is retired. Its owner can still decrypt existing files.",
    "delivery-retried": "Another try of the delivery has been requested. Nothing is exported again.",
    "delivery-cancelled": "Cancellation of the delivery has been requested.",
    "delivery-unchanged": "Nothing was changed: the delivery is in another state by now.",
    "destination-created": "The destination has been saved. Test it before jobs deliver to it.",
    "destination-saved": "The destination has been saved.",
    "destination-test": "A test has been requested. Its result arrives within seconds.",
    "destination-deleted": "The destination has been deleted. What has been delivered stays there.",
    "host-key-trusted": "The host key is trusted. Test the destination again.",
    "password-changed": "Your password has been changed. Your other sessions have ended.",
    "key-revoked": "The key {key} has been revoked.",
    "runs-cancelled": "Cancellation requested: {count} {run}. It takes effect within seconds.",
    "some-runs-cancelled": "Cancellation requested: {count}. The other runs had already ended.",
    "no-runs-cancelled": "Nothing was cancelled: the selected runs had already ended.",
    "runs-removed": "Removed from history: {count} {run}. Files stay in Artifacts until their retention ends.",
    "some-runs-removed": "Removed from history: {count}. The other runs have not ended: cancel them first.",
    "no-runs-removed": "Nothing was removed: the selected runs have not ended. Cancel them first.",
    "select-runs": "Select a run first: tick the box at the start of its row.",
    "select-one-run": "Select exactly one run: tick the box at the start of its row.",
    "select-files": "Select a file first: tick the box at the start of its row.",
    "select-one-file": "Select exactly one file: a link leads to one file.",
    "too-many-files": "At most 100 files can be selected at once. Select fewer.",
    "files-deleted": "Files deleted: {count} {file}.",
    "user-created": "The user {user} has been added.",
    "user-saved": "The user {user} has been saved. The change applies to sessions and keys within seconds.",
    "session-ended": "Your session has ended. Log in again to continue.",
}
"""Each notice by its name; the names in braces stand for what it is about."""
_REFUSALS = frozenset({name for name in NOTICES if name.startswith(("refused", "select-", "too-many", "no-runs"))})
_PLACEHOLDER = re.compile(r" ?\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice as a page shows it, where it leads to, if anywhere, and whether it says that nothing was done."""

    text: Markup
    link: str
    is_refusal: bool


def redirect_with_notice(
    path: str, name: str, count: int | None = None, *, link: str = "", **subjects: str
) -> RedirectResponse:
    """Return a redirect after a form was handled; the page at `path` shows the notice.

    `subjects` are what the notice is about, by the names in its text; `link` is a path within Sluice that it leads to.
    """
    answer = RedirectResponse(path, 303)
    set_notice(answer, name, count, link=link, **subjects)
    return answer


def set_notice(answer: Response, name: str, count: int | None = None, *, link: str = "", **subjects: str) -> None:
    """Let the next page show a notice."""
    about = {each: _shorten(value, _MAX_REASON if each == "reason" else _MAX_VALUE) for each, value in subjects.items()}
    content = [name, about if count is None else {**about, "count": count}, link]
    value = quote(json.dumps(content, separators=(",", ":")))
    if len(value) > _MAX_COOKIE:
        value = quote(json.dumps([name, {} if count is None else {"count": count}, ""]))
    answer.set_cookie(NOTICE_COOKIE, value, max_age=_MAX_AGE_SECONDS, httponly=True, samesite="strict", path="/")


def redirect_refused(path: str, name: str, *, section: str, ticked: Sequence[str], **subjects: str) -> RedirectResponse:
    """Return a redirect after a refused action to the list at `path`, below `section`, with its rows still ticked."""
    answer = redirect_with_notice(path, name, None, **subjects)
    keep_ticks(answer, section, ticked)
    return answer


def read_notice(request: Request) -> Notice | None:
    """Return the notice that a page is to show, if any; anything but a notice of ours is ignored."""
    try:
        name, subjects, link = decode_json(unquote(find_cookie(request.headers.raw, NOTICE_COOKIE)))
        text, address = _render_text(NOTICES[name], subjects), to_local_path(link, default="") if link else ""
        return Notice(text, address, name in _REFUSALS)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _render_text(text: str, subjects: Mapping[str, str | int]) -> Markup:
    """Return a notice's text with its subjects in quotation marks; one that is not known leaves no gap."""

    def render_subject(found: re.Match[str]) -> str:
        value = subjects.get(found[1])
        if value is None:
            return ""
        shown = str(value) if isinstance(value, int) or found[1] == "reason" else f"“{value}”"
        # A forged cookie can hold half of a surrogate pair, which no page can be written with.
        return str(Markup(" <bdi>{}</bdi>").format(shown.encode("utf-8", "replace").decode()))

    return Markup(_PLACEHOLDER.sub(render_subject, text))  # noqa: S704 (the subjects are escaped)


def _shorten(value: str, longest: int) -> str:
    return value if len(value) <= longest else f"{value[: longest - 1]}…"
