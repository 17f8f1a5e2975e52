"""Logging in again without losing a form: its session ended while it was filled in, or belongs to an earlier login.

The form is shown again as hidden fields, with the question for a password or for a confirmation; submitting that page
carries out what the form was for. A form in which nobody typed anything of ours leads to the login page.
"""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from job_api.errors import LoginFailed, TooManyAttempts
from job_api.pages.kit.forms import CSRF_FIELD, Form, parse_form
from job_api.pages.kit.navigation import redirect_to_login
from job_api.pages.kit.notices import set_notice
from job_api.pages.kit.rendering import render, render_problem
from job_api.pages.kit.services import get_services
from job_api.service import LoginAttempt
from job_api.sessions import get_client_address, start_session
from shared.http.identity import SESSION_COOKIE, is_same_origin, session_of
from shared.http.problems import Problem, ProblemType

USER_FIELD, TENANT_FIELD, PASSWORD_FIELD = "login-user", "login-tenant", "login-password"
_OWN_FIELDS = (CSRF_FIELD, USER_FIELD, TENANT_FIELD, PASSWORD_FIELD)
_NEVER_REPEATED = ("file", "pem", "certificate-file", "certificate-pem", "password")
"""Fields that may hold a secret, which no page shows again."""
_NEW_COOKIES = "sluice.new_cookies"


async def log_in_again(request: Request) -> None:
    """Start a session with the password that a form carries; its cookies go out with the response.

    Raises Problem 401 where the password is wrong, and Problem 403 for a form of another site.
    """
    form, answer = await parse_form(request), Response()
    attempt = LoginAttempt(
        user=form.get(USER_FIELD)[:200],
        password=form.get(PASSWORD_FIELD)[:1000],
        tenant=form.get(TENANT_FIELD)[:200] or None,
        remember=False,
        address=get_client_address(request),
    )
    if not is_same_origin(request):
        raise Problem(ProblemType.CROSS_SITE, "This can only be done from Sluice's own pages.")
    try:
        issued = await start_session(get_services(request).login, attempt, request=request, response=answer)
    except LoginFailed:
        raise Problem(ProblemType.UNAUTHENTICATED, "The user name or password is incorrect.") from None
    except TooManyAttempts as error:
        detail = f"Too many login attempts: wait {error.retry_after} s."
        raise Problem(ProblemType.UNAUTHENTICATED, detail) from None
    request.scope[_NEW_COOKIES] = [each for each in answer.raw_headers if each[0] == b"set-cookie"]
    # From here on the request is one of the new session: its identity, and the tokens of forms.
    headers = request.scope["headers"]
    headers[:] = [
        *(each for each in headers if each[0] != b"cookie"),
        (b"cookie", f"{SESSION_COOKIE}={issued.token}".encode()),
    ]


def read_new_cookies(scope: Scope) -> Sequence[tuple[bytes, bytes]]:
    """Return the headers that set the cookies of a session which began with this request."""
    found: Sequence[tuple[bytes, bytes]] = scope.get(_NEW_COOKIES, ())
    return found


async def render_interrupted(request: Request, problem: Problem) -> Response:
    """Return the page that asks for the password, or for a confirmation, and then carries out the submitted form."""
    form = await parse_form(request) if request.method == "POST" and is_same_origin(request) else Form(())
    ended = problem.type is ProblemType.UNAUTHENTICATED
    if CSRF_FIELD not in form and not ended:
        return render_problem(request, problem)
    if CSRF_FIELD not in form:
        answer = redirect_to_login(request)
        if session_of(request):
            set_notice(answer, "session-ended")
        return answer
    sign_in = get_services(request).sign_in
    return render(
        request,
        "account/interrupted.html",
        status=problem.status,
        ended=ended,
        failure=problem.detail if PASSWORD_FIELD in form else None,
        action=request.url.path,
        fields=form.list_texts(without=(*_OWN_FIELDS, *_NEVER_REPEATED)),
        user=form.get(USER_FIELD),
        tenant=form.get(TENANT_FIELD),
        sign_in_title=sign_in.client.title if sign_in else None,
    )
