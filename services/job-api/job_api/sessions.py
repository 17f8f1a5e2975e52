"""Session cookies, for the API and the pages alike."""

from datetime import timedelta

from fastapi import Request
from starlette.responses import Response

from job_api.service import Door, Login
from job_api.service.issuing import Issued
from job_api.service.login import REMEMBERED
from shared.http.identity import SESSION_COOKIE, is_same_origin
from shared.http.problems import Problem, ProblemType


async def logged_in(door: Door, login: Login, request: Request, response: Response) -> Issued:
    """Begin a session and set its cookie. Raises LoginFailed, and Problem 403 for a form of another site."""
    told = "origin" in request.headers or "sec-fetch-site" in request.headers
    if told and not is_same_origin(request):
        raise Problem(ProblemType.CROSS_SITE, "Log in from Sluice's own page.")
    issued = await door.log_in(login)
    lasting = REMEMBERED if login.remember else None
    set_session(response, issued, secure=request.url.scheme == "https", lasting=lasting)
    return issued


def set_session(response: Response, issued: Issued, *, secure: bool, lasting: timedelta | None) -> None:
    """Give the browser its session: for so long, or until it is closed."""
    response.set_cookie(
        SESSION_COOKIE,
        str(issued.token),
        max_age=int(lasting.total_seconds()) if lasting is not None else None,
        secure=secure,
        httponly=True,
        samesite="lax",
        path="/",
    )


def address_of(request: Request) -> str:
    """Return where a request comes from."""
    return request.client.host if request.client else "unknown"


def end_session(response: Response) -> None:
    """Take the cookie back."""
    response.delete_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="lax")
