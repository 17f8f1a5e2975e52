"""From the job API's errors to problem documents: the one place that knows both."""

from typing import Any

from job_api.errors import IdempotencyConflict, Invalid, LoginFailed, LostUpdate, NotFound, Refused, TooManyAttempts
from shared.errors import SluiceError
from shared.http.problems import FieldError, Problem, ProblemType, error_responses, invalid, not_found


def problem_of(error: SluiceError) -> Problem | None:
    """Return the problem that an error is to whoever asked; None for one that is not theirs."""
    match error:
        case Invalid():
            found = invalid(*(FieldError(fault.field, fault.message) for fault in error.faults))
        case NotFound():
            found = not_found(error.what)
        case Refused():
            found = Problem(ProblemType.from_name(error.kind), error.detail, extra=dict(error.extra))
        case LostUpdate():
            detail = "Somebody has changed it since: read it again and decide anew."
            found = Problem(ProblemType.LOST_UPDATE, detail, headers={"ETag": f'"{error.current}"'})
        case IdempotencyConflict():
            found = Problem(
                ProblemType.IDEMPOTENCY_CONFLICT, "This Idempotency-Key was used with another body: take a new one."
            )
        case TooManyAttempts():
            detail = f"Too many attempts to log in: wait {error.retry_after} s."
            found = Problem(ProblemType.TOO_MANY_ATTEMPTS, detail, headers={"Retry-After": str(error.retry_after)})
        case LoginFailed():
            detail = "User name or password is wrong, or the name is used by several tenants: then give the tenant too."
            found = Problem(ProblemType.LOGIN_FAILED, detail)
        case _:
            return None
    return found


def refused(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of an operation that may be refused with these statuses, beside those that any may."""
    return error_responses(*(each for each in ProblemType if each.status in statuses))


ERRORS = (Invalid, NotFound, Refused, LostUpdate, IdempotencyConflict, LoginFailed, TooManyAttempts)
"""The errors that `problem_of` knows, for `shared.http.app.handle_errors`."""
