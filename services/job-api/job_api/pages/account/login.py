"""Logging in and out (U1)."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from job_api.errors import LoginFailed
from job_api.pages.kit.forms import Form, parse_form
from job_api.pages.kit.identity import require_identity
from job_api.pages.kit.navigation import to_local_path
from job_api.pages.kit.rendering import render
from job_api.pages.kit.services import get_services
from job_api.service import LoginAttempt
from job_api.sessions import clear_session_cookie, get_client_address, start_session

_MAX_NAME, _MAX_PASSWORD = 200, 1000


async def show_login(request: Request) -> Response:
    """Show the login page."""
    return _render(request, target=request.query_params.get("next", ""))


async def log_in(request: Request) -> Response:
    """Begin a session and lead to the page that was requested, or show the login page again with an error."""
    form = await parse_form(request)
    login, target = _parse_login(form, request), form.get("next")
    answer = RedirectResponse(to_local_path(target, default="/"), 303)
    try:
        await start_session(get_services(request).login, login, request=request, response=answer)
    except LoginFailed:
        return _render(request, target=target, login=login)
    return answer


async def log_out(request: Request) -> Response:
    """End the session."""
    identity = await require_identity(request)
    services = get_services(request)
    async with services.units.begin(identity) as work:
        await services.access.log_out(work, identity)
    answer = RedirectResponse("/login", 303)
    clear_session_cookie(answer)
    return answer


def _parse_login(form: Form, request: Request) -> LoginAttempt:
    return LoginAttempt(
        user=form.get("user")[:_MAX_NAME],
        password=form.get("password")[:_MAX_PASSWORD],
        tenant=form.get("tenant")[:_MAX_NAME] or None,
        remember=form.get("remember") == "yes",
        address=get_client_address(request),
    )


def _render(request: Request, *, target: str, login: LoginAttempt | None = None) -> Response:
    """Return the login page; `login` is one that has failed, of which the password is not shown again."""
    sign_in = get_services(request).sign_in
    return render(
        request,
        "account/login.html",
        status=401 if login else 200,
        next=target,
        user=login.user if login else "",
        tenant=(login.tenant or "") if login else "",
        failed=login is not None,
        sign_in_title=sign_in.client.title if sign_in else None,
    )
