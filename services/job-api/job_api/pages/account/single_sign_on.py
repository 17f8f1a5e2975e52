"""Signing in through an identity provider, in browsers; it starts a session like any other (U1)."""

from collections.abc import Awaitable

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from job_api.errors import LoginFailed, TooManyAttempts
from job_api.pages.kit.navigation import to_local_path
from job_api.pages.kit.rendering import render_problem
from job_api.pages.kit.services import get_services
from job_api.service.login import SESSION_LIFETIME
from job_api.sessions import get_client_address, set_session_cookie
from job_api.sign_in import SignInAttempt, SignInFailed, SignInFlow
from shared.errors import TransientError
from shared.http.problems import Problem, ProblemType
from shared.http.untrusted import find_cookie
from shared.observe import get_logger
from shared.oidc import UnknownTenant

START_PATH = "/login/oidc"
_COOKIE = "sluice_sign_in"
_COOKIE_SECONDS = 600
_MAX_NEXT = 2000
log = get_logger(__name__)


async def begin_sign_in(request: Request) -> Response:
    """Redirect the browser to the identity provider. Raises Problem 404 if none is configured."""
    return await _render_errors(request, _begin(request, _get_flow(request)))


async def finish_sign_in(request: Request) -> Response:
    """Start a session for the user who comes back, and redirect to the page that was requested first.

    Raises Problem 404 if no identity provider is configured.
    """
    return await _render_errors(request, _finish(request, _get_flow(request)))


def _get_flow(request: Request) -> SignInFlow:
    flow = get_services(request).sign_in
    if flow is None:
        raise Problem(ProblemType.NOT_FOUND, "No identity provider is configured.")
    return flow


def _is_secure(flow: SignInFlow) -> bool:
    return flow.client.public_url.startswith("https:")


async def _begin(request: Request, flow: SignInFlow) -> Response:
    address, attempt = await flow.begin(to_local_path(request.query_params.get("next", ""), default="/")[:_MAX_NEXT])
    response = RedirectResponse(address, 303, {"Cache-Control": "no-store"})
    # Lax, as the way back begins on the identity provider's page.
    response.set_cookie(
        _COOKIE,
        attempt.to_cookie(),
        max_age=_COOKIE_SECONDS,
        secure=_is_secure(flow),
        httponly=True,
        samesite="lax",
        path=START_PATH,
    )
    return response


async def _finish(request: Request, flow: SignInFlow) -> Response:
    attempt = SignInAttempt.from_cookie(find_cookie(request.headers.raw, _COOKIE))
    parameters, login = dict(request.query_params), get_services(request).login
    issued = await login.sign_in(get_client_address(request), lambda: flow.finish(attempt, parameters))
    response = RedirectResponse(attempt.next if attempt else "/", 303, {"Cache-Control": "no-store"})
    set_session_cookie(response, issued, secure=_is_secure(flow), lifetime=SESSION_LIFETIME)
    response.delete_cookie(_COOKIE, path=START_PATH)
    return response


async def _render_errors(request: Request, response: Awaitable[Response]) -> Response:
    """Return the response, or its error as a page that offers a way on."""
    try:
        return await response
    except SignInFailed as error:
        log.info("sign-in refused", reason=str(error), cause=str(error.__cause__ or ""))
        problem = Problem(ProblemType.LOGIN_FAILED, str(error))
    except LoginFailed:
        problem = Problem(ProblemType.LOGIN_FAILED, "Your account is disabled: ask an administrator of your tenant.")
    except UnknownTenant:
        detail = "The identity provider assigns you to no tenant of this installation: ask its administrator."
        problem = Problem(ProblemType.UNKNOWN_TENANT, detail)
    except TooManyAttempts as error:
        headers = {"Retry-After": str(error.retry_after)}
        detail = f"Too many login attempts: wait {error.retry_after} s."
        problem = Problem(ProblemType.TOO_MANY_ATTEMPTS, detail, headers=headers)
    except TransientError as error:
        log.warning("identity provider unavailable", error=str(error))
        detail = "The identity provider does not respond: retry shortly."
        problem = Problem(ProblemType.UNAVAILABLE, detail, headers={"Retry-After": "10"})
    return render_problem(request, problem)
