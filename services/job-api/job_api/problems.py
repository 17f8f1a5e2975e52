"""From the job API's errors to problem documents, for the API and the pages alike."""

from job_api.errors import InvalidInput, LoginFailed, LostUpdate, NotFound, OperationRefused, TooManyAttempts
from shared.errors import SluiceError
from shared.http.conditional import to_etag
from shared.http.problems import FieldError, Problem, ProblemType, invalid_request, not_found

ERRORS = (InvalidInput, NotFound, OperationRefused, LostUpdate, LoginFailed, TooManyAttempts)
"""The errors that `to_problem` knows."""


def to_problem(error: SluiceError) -> Problem | None:
    """Return the problem document of an error, or None if the error is not the caller's."""
    match error:
        case InvalidInput():
            problem = invalid_request(*(FieldError(fault.field, fault.message) for fault in error.faults))
        case NotFound():
            problem = not_found(error.what)
        case OperationRefused():
            problem = Problem(ProblemType.from_name(error.kind), error.detail, extra=error.extra)
        case LostUpdate():
            detail = "It has been changed since you read it: read it again and repeat your change."
            problem = Problem(ProblemType.LOST_UPDATE, detail, headers={"ETag": to_etag(error.current)})
        case TooManyAttempts():
            detail = f"Too many login attempts: wait {error.retry_after} s."
            headers = {"Retry-After": str(error.retry_after)}
            problem = Problem(ProblemType.TOO_MANY_ATTEMPTS, detail, headers=headers)
        case LoginFailed():
            detail = "User name or password is wrong; if several tenants use the name, the tenant is required too."
            problem = Problem(ProblemType.LOGIN_FAILED, detail)
        case _:
            return None
    return problem
