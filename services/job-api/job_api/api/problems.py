"""From the job API's errors to problem documents: the one place that knows both."""

from typing import Any

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from job_api.errors import IdempotencyConflict, Invalid, LoginFailed, LostUpdate, NotFound, Refused, TooManyAttempts
from shared.errors import SluiceError
from shared.problems import Problem
from shared.web import not_found, problem_responses

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def problem_of(error: SluiceError) -> Problem | None:
    """Return the problem that an error is to whoever asked; None for one that is not theirs."""
    match error:
        case Invalid():
            fields = [{"field": fault.field, "message": fault.message} for fault in error.faults]
            names = ", ".join(dict.fromkeys(fault.field for fault in error.faults))
            found = Problem(422, "invalid", f"Not accepted: {names}. See errors.", fields)
        case NotFound():
            found = not_found(error.what)
        case Refused():
            found = Problem(error.status, error.kind, error.detail, extra=dict(error.extra))
        case LostUpdate():
            detail = "Somebody has changed it since: read it again and decide anew."
            found = Problem(412, "lost-update", detail, headers={"ETag": f'"{error.current}"'})
        case IdempotencyConflict():
            found = Problem(
                409, "idempotency-conflict", "This Idempotency-Key was used with another body: take a new one."
            )
        case TooManyAttempts():
            detail = f"Too many attempts to log in: wait {error.retry_after} s."
            found = Problem(429, "too-many-attempts", detail, headers={"Retry-After": str(error.retry_after)})
        case LoginFailed():
            detail = "User name or password is wrong, or the name is used by several tenants: then give the tenant too."
            found = Problem(401, "login-failed", detail)
        case _:
            return None
    return found


def refused(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of an operation that may be refused with these statuses, beside those that any may."""
    return problem_responses(429, *statuses)


def answer_problems(app: FastAPI) -> None:
    """Let an application answer the job API's errors, and the framework's, as problem documents."""

    async def answered(request: Request, error: Exception) -> Response:
        problem = problem_of(error) if isinstance(error, SluiceError) else None
        if problem is None:
            raise error
        return problem.response(request.url.path)

    async def framework(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _of_framework(request, error).response(request.url.path)

    for kind in (Invalid, NotFound, Refused, LostUpdate, IdempotencyConflict, LoginFailed, TooManyAttempts):
        app.add_exception_handler(kind, answered)
    app.add_exception_handler(HTTPException, framework)


def _of_framework(request: Request, error: HTTPException) -> Problem:
    match error.status_code:
        case 400:
            unread = {"field": "body", "message": "cannot be read: send JSON in UTF-8"}
            return Problem(422, "invalid", "Not accepted: body. See errors.", [unread])
        case 405:
            # The framework names the methods of one route only; an address may have several.
            allowed = [method for method in _METHODS if _takes(request, method)]
            words = f"This address takes {', '.join(allowed)}."
            return Problem(405, "method-not-allowed", words, headers={"Allow": ", ".join(allowed)})
        case _:
            return Problem(404, "not-found", "There is nothing at this address.")


def _takes(request: Request, method: str) -> bool:
    scope = {**request.scope, "method": method}
    return any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes)
