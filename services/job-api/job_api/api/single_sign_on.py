"""`/login/oidc`: there and back again, for browsers; what comes of it is a session as any other."""

from collections.abc import Awaitable

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from job_api.errors import LoginFailed, TooManyAttempts
from job_api.pages.kit.navigation import to_local_path
from job_api.pages.kit.rendering import render_problem
from job_api.service import Door
from job_api.service.login import SESSION
from job_api.sessions import address_of, set_session
from job_api.sign_in import CALLBACK, Attempt, SignIn, SignInFailed
from shared.errors import TransientError
from shared.http.problems import Problem, ProblemType
from shared.observe import get_logger
from shared.oidc import UnknownTenant

START = "/login/oidc"
_COOKIE = "sluice_sign_in"
_SECONDS = 600
log = get_logger(__name__)


def single_sign_on_routes(sign_in: SignIn | None, door: Door) -> list[Route]:
    """Return the routes of login by an identity provider; none where there is none."""
    if sign_in is None:
        return []

    async def start(request: Request) -> Response:
        return await _guarded(request, _begun(request, sign_in))

    async def back(request: Request) -> Response:
        return await _guarded(request, _finished(request, sign_in, door))

    return [Route(START, start, methods=["GET"]), Route(CALLBACK, back, methods=["GET"])]


async def _begun(request: Request, sign_in: SignIn) -> Response:
    address, attempt = await sign_in.begin(to_local_path(request.query_params.get("next", ""))[:2000])
    answer = RedirectResponse(address, 303, {"Cache-Control": "no-store"})
    secure = sign_in.client.public_url.startswith("https:")
    # Lax, as the way back begins on the identity provider's page.
    answer.set_cookie(
        _COOKIE, attempt.to_cookie(), max_age=_SECONDS, secure=secure, httponly=True, samesite="lax", path=START
    )
    return answer


async def _finished(request: Request, sign_in: SignIn, door: Door) -> Response:
    attempt = Attempt.from_cookie(request.cookies.get(_COOKIE, ""))
    brought = dict(request.query_params)
    issued = await door.sign_in(address_of(request), lambda: sign_in.finish(attempt, brought))
    answer = RedirectResponse(attempt.next if attempt else "/jobs", 303, {"Cache-Control": "no-store"})
    set_session(answer, issued, secure=sign_in.client.public_url.startswith("https:"), lasting=SESSION)
    answer.delete_cookie(_COOKIE, path=START)
    return answer


async def _guarded(request: Request, answer: Awaitable[Response]) -> Response:
    """Answer what goes wrong as a page: it is a browser that asks."""
    try:
        return await answer
    except SignInFailed as error:
        log.info("sign-in refused", reason=str(error), cause=str(error.__cause__ or ""))
        problem = Problem(ProblemType.LOGIN_FAILED, str(error))
    except LoginFailed:
        problem = Problem(
            ProblemType.LOGIN_FAILED, "You are shut out of this Sluice: ask an administrator of your tenant."
        )
    except UnknownTenant:
        detail = "The identity provider names no tenant of this Sluice for you: ask whoever set up the sign-in."
        problem = Problem(ProblemType.UNKNOWN_TENANT, detail)
    except TooManyAttempts as error:
        wait = {"Retry-After": str(error.retry_after)}
        problem = Problem(
            ProblemType.TOO_MANY_ATTEMPTS, f"Too many attempts: wait {error.retry_after} s.", headers=wait
        )
    except TransientError as error:
        log.warning("sign-in is away", error=str(error))
        away = {"Retry-After": "10"}
        problem = Problem(ProblemType.UNAVAILABLE, "The identity provider does not answer: try again.", headers=away)
    return render_problem(request, problem)
