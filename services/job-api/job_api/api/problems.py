"""From the job API's errors to problem documents: the one place that knows both."""

from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from job_api.errors import IdempotencyConflict, Invalid, LoginFailed, LostUpdate, NotFound, Refused, TooManyAttempts
from shared.errors import SluiceError
from shared.http.app import not_found, problem_responses
from shared.http.problems import Problem


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
    """Let an application answer the job API's errors as problem documents; `shared.web` answers the framework's."""

    async def answered(request: Request, error: Exception) -> Response:
        problem = problem_of(error) if isinstance(error, SluiceError) else None
        if problem is None:
            raise error
        return problem.response(request.url.path)

    for kind in (Invalid, NotFound, Refused, LostUpdate, IdempotencyConflict, LoginFailed, TooManyAttempts):
        app.add_exception_handler(kind, answered)
