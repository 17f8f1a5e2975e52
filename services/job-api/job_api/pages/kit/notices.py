"""Notices: what the next page says about a form that was submitted. A cookie names the notice, which is shown once."""

from starlette.requests import Request
from starlette.responses import RedirectResponse

from shared.http.untrusted import find_cookie

NOTICE_COOKIE = "sluice_notice"
_MAX_AGE_SECONDS = 60
NOTICES = {
    "select-job": "Select a job first: use the button at the start of its row.",
    "job-created": "The job has been saved.",
    "job-saved": "The changes have been saved.",
    "job-deleted": "The job has been deleted. Its runs and files are kept until their retention ends.",
    "job-suspended": "The job is suspended: its scheduled runs are skipped. A run in progress continues.",
    "job-resumed": "The job is active again.",
    "run-requested": "A run has been requested. It starts as soon as an exporter is free.",
    "certificate-uploaded": "The certificate has been uploaded.",
    "certificate-retired": "The certificate has been retired. Its owner can still decrypt existing files.",
    "password-changed": "Your password has been changed. Your other sessions have ended.",
    "key-revoked": "The key has been revoked.",
    "runs-cancelled": "Cancellation requested: {}. It takes effect within seconds.",
    "some-runs-cancelled": "Cancellation requested: {}. The other runs had already ended.",
    "no-runs-cancelled": "Nothing was cancelled: the selected runs had already ended.",
    "runs-removed": "Removed from history: {}. Files stay in Artifacts until their retention ends.",
    "some-runs-removed": "Removed from history: {}. The other runs have not ended: cancel them first.",
    "no-runs-removed": "Nothing was removed: the selected runs have not ended. Cancel them first.",
    "select-runs": "Select a run first: tick the box at the start of its row.",
    "select-one-run": "Select exactly one run: tick the box at the start of its row.",
    "select-files": "Select a file first: tick the box at the start of its row.",
    "select-one-file": "Select exactly one file: a link leads to one file.",
    "too-many-files": "At most 100 files can be selected at once. Select fewer.",
    "files-deleted": "Files deleted: {}.",
    "user-created": "The user has been added.",
    "user-saved": "The user has been saved. The change applies to sessions and keys within seconds.",
}
"""Each notice by its name; `{}` stands for a number."""


def redirect_with_notice(path: str, name: str, count: int | None = None) -> RedirectResponse:
    """Return a redirect after a form was handled; the page at `path` shows the notice."""
    answer = RedirectResponse(path, 303)
    value = name if count is None else f"{name}:{count}"
    answer.set_cookie(NOTICE_COOKIE, value, max_age=_MAX_AGE_SECONDS, httponly=True, samesite="strict", path="/")
    return answer


def read_notice(request: Request) -> str | None:
    """Return the notice that a page is to show, if any."""
    name, _, count = find_cookie(request.headers.raw, NOTICE_COOKIE).partition(":")
    text = NOTICES.get(name)
    return text.format(count if count.isdigit() else "") if text else None
