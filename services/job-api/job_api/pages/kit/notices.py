"""What a page says of the step before it: kept in a cookie by name, shown once."""

from starlette.requests import Request
from starlette.responses import RedirectResponse

COOKIE = "sluice_said"
NOTICES = {
    "choose-job": "Choose a job first: tick the circle before it.",
    "job-made": "The job is saved.",
    "job-saved": "The changes are saved.",
    "job-deleted": "The job is deleted. Its runs and files stay until their own time is over.",
    "job-suspended": "The job is suspended: its slots to come are skipped. A run in progress goes on.",
    "job-resumed": "The job is active again.",
    "job-run": "A run is asked for: it starts as soon as an exporter is free.",
    "certificate-kept": "The certificate is kept.",
    "certificate-retired": "The certificate is retired. Files that were made for it stay readable by its owner.",
    "password-changed": "The password is changed. Your other sessions have ended.",
    "key-revoked": "The key is revoked.",
    "runs-cancelled": "Asked to cancel: {}. It takes effect within seconds.",
    "some-runs-cancelled": "Asked to cancel: {}. The others had ended already.",
    "no-runs-cancelled": "Nothing was cancelled: what you chose has ended already.",
    "runs-removed": "Removed from the log: {}. Files stay in Artifacts until their own time is over.",
    "some-runs-removed": "Removed from the log: {}. The others have not ended: cancel them first.",
    "no-runs-removed": "Nothing was removed: what you chose has not ended. Cancel it first.",
    "choose-runs": "Choose a run first: tick the box before it.",
    "choose-one-run": "Choose exactly one run for this: tick the box before it.",
    "choose-files": "Choose a file first: tick the box before it.",
    "choose-one-file": "Choose exactly one file for this: a link leads to one file.",
    "too-many-files": "That would be more than 100 files, which is the most at once. Choose some of them.",
    "files-deleted": "Deleted: {}. They are gone from the store.",
    "user-made": "The user is added.",
    "user-saved": "The user is saved. Sessions and keys follow at once.",
}
"""Each sentence by its name; `{}` stands for a number."""


def done(path: str, name: str, count: int | None = None) -> RedirectResponse:
    """Lead on after a form was taken, and have the next page say what was done."""
    answer = RedirectResponse(path, 303)
    value = name if count is None else f"{name}:{count}"
    answer.set_cookie(COOKIE, value, max_age=60, httponly=True, samesite="strict", path="/")
    return answer


def take(request: Request) -> str | None:
    """Return the sentence that this page is to say, if any."""
    name, _, count = request.cookies.get(COOKIE, "").partition(":")
    words = NOTICES.get(name)
    return words.format(count if count.isdigit() else "") if words else None
