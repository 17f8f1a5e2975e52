"""Session cookies, for the API and the pages alike."""

from dataclasses import replace
from datetime import timedelta

from fastapi import Request
from starlette.responses import Response

from job_api.service import LoginAttempt, LoginService
from job_api.service.credentials import IssuedCredential
from job_api.service.devices import DEVICE_LIFETIME
from job_api.service.login import REMEMBERED_LIFETIME
from shared.http.identity import SESSION_COOKIE, is_same_origin
from shared.http.problems import Problem, ProblemType
from shared.http.untrusted import find_cookie

DEVICE_COOKIE = "sluice_device"
"""Kept when the session ends: by it a browser is recognised that has logged in before."""


async def start_session(
    login: LoginService, attempt: LoginAttempt, *, request: Request, response: Response
) -> IssuedCredential:
    """Log in and set the cookies of the session and of the device.

    Raises LoginFailed, TooManyAttempts, and Problem 403 for a form of another site.
    """
    declared = "origin" in request.headers or "sec-fetch-site" in request.headers
    if declared and not is_same_origin(request):
        raise Problem(ProblemType.CROSS_SITE, "Log in from Sluice's own page.")
    started = await login.log_in(replace(attempt, device=find_cookie(request.headers.raw, DEVICE_COOKIE) or None))
    lifetime, is_secure = REMEMBERED_LIFETIME if attempt.remember else None, request.url.scheme == "https"
    set_session_cookie(response, started.issued, secure=is_secure, lifetime=lifetime)
    _set_cookie(response, DEVICE_COOKIE, started.device, secure=is_secure, lifetime=DEVICE_LIFETIME)
    return started.issued


def set_session_cookie(
    response: Response, issued: IssuedCredential, *, secure: bool, lifetime: timedelta | None
) -> None:
    """Set the session's cookie; a `lifetime` of None means until the browser is closed."""
    _set_cookie(response, SESSION_COOKIE, str(issued.token), secure=secure, lifetime=lifetime)


def _set_cookie(response: Response, name: str, value: str, *, secure: bool, lifetime: timedelta | None) -> None:
    response.set_cookie(
        name,
        value,
        max_age=int(lifetime.total_seconds()) if lifetime is not None else None,
        secure=secure,
        httponly=True,
        samesite="lax",
        path="/",
    )


def get_client_address(request: Request) -> str:
    """Return the network address from which a request comes."""
    return request.client.host if request.client else "unknown"


def clear_session_cookie(response: Response) -> None:
    """Remove the session's cookie."""
    response.delete_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="lax")
