"""Session cookies, for the API and the pages alike."""

from fastapi import Request
from starlette.responses import Response

from job_api.service import Door, Login
from job_api.service.door import REMEMBERED
from job_api.service.issuing import Issued
from shared.problems import Problem
from shared.web import SESSION_COOKIE, same_origin


async def logged_in(door: Door, login: Login, request: Request, response: Response) -> Issued:
    """Begin a session and set its cookie. Raises LoginFailed, and Problem 403 for a form of another site."""
    told = "origin" in request.headers or "sec-fetch-site" in request.headers
    if told and not same_origin(request):
        raise Problem(403, "cross-site", "Log in from Sluice's own page.")
    issued = await door.log_in(login)
    response.set_cookie(
        SESSION_COOKIE,
        str(issued.token),
        max_age=int(REMEMBERED.total_seconds()) if login.remember else None,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
        path="/",
    )
    return issued


def address_of(request: Request) -> str:
    """Return where a request comes from."""
    return request.client.host if request.client else "unknown"


def end_session(response: Response) -> None:
    """Take the cookie back."""
    response.delete_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="lax")
