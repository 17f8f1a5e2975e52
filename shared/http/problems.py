"""Problem documents (RFC 9457): the form of every HTTP error, and the types that there are."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field
from starlette.responses import JSONResponse

from shared.http.headers import SECURITY_HEADERS

TYPE_BASE = "https://sluice.example/problems/"
MEDIA_TYPE = "application/problem+json"


class ProblemType(Enum):
    """The types of problems: the last part of each one's address, its HTTP status, and when it occurs."""

    status: int
    meaning: str

    MALFORMED = "malformed", 400, "The request is not valid HTTP."
    UNAUTHENTICATED = "unauthenticated", 401, "No valid API key, token or session was sent."
    LOGIN_FAILED = "login-failed", 401, "The user name, password or tenant is wrong."
    UNKNOWN_TENANT = "unknown-tenant", 403, "The token is valid but names no tenant of this installation."
    ACCESS_DENIED = "access-denied", 403, "The caller lacks the required role."
    CROSS_SITE = "cross-site", 403, "A browser session was used from another site."
    STALE_FORM = "stale-form", 403, "The form belongs to another session."
    NOT_FOUND = "not-found", 404, "The tenant has no such resource."
    NO_MANIFEST = "no-manifest", 404, "The run has no manifest because it has not succeeded."
    FILE_MISSING = "file-missing", 404, "The object store no longer has the file."
    METHOD_NOT_ALLOWED = "method-not-allowed", 405, "The address does not support the method."
    TIMED_OUT = "timed-out", 408, "The request did not arrive in time."
    RUN_IN_PROGRESS = "run-in-progress", 409, "A run is queued or running."
    RUN_ENDED = "run-ended", 409, "The run has already ended."
    ONE_TIME_NOT_RESUMABLE = "one-time-not-resumable", 409, "A one-time job cannot be resumed after its start."
    ONE_TIME_NOT_EDITABLE = "one-time-not-editable", 409, "A one-time job cannot be edited."
    ONE_TIME_NOT_RUN_NOW = "one-time-not-run-now", 409, "A one-time job cannot be run now."
    CERTIFICATE_EXISTS = "certificate-exists", 409, "An active certificate has this name or identity."
    DESTINATION_EXISTS = "destination-exists", 409, "Another destination has this name."
    DESTINATION_IN_USE = "destination-in-use", 409, "Jobs deliver to this destination."
    DELIVERY_NOT_AVAILABLE = "delivery-not-available", 409, "The operator has not set up delivery."
    DELIVERY_STATE = "delivery-state", 409, "The delivery cannot be retried or cancelled in its present state."
    USER_EXISTS = "user-exists", 409, "The user name is in use in this tenant."
    LAST_ADMIN = "last-admin", 409, "The tenant would lose its last administrator who can log in."
    IDEMPOTENCY_CONFLICT = "idempotency-conflict", 409, "The Idempotency-Key was used for another request."
    FILES_NOT_DELETED = "files-not-deleted", 409, "The object store refuses to delete some of the files."
    GONE = "gone", 410, "The file has been removed."
    ARTIFACT_EXPIRED = "artifact-expired", 410, "The file has expired and was removed."
    ARTIFACT_DELETED = "artifact-deleted", 410, "The file was deleted."
    LOST_UPDATE = "lost-update", 412, "The resource has changed since the version named by If-Match."
    TOO_LARGE = "too-large", 413, "The request body is too large."
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type", 415, "The media type of the request body is not supported."
    RANGE_OUTSIDE = "range-outside", 416, "The range begins beyond the end of the file."
    INVALID = "invalid", 422, "Parameters or fields are invalid; `errors` lists each."
    SOURCE_NOT_OFFERED = "source-not-offered", 422, "Sluice does not export from this source."
    IF_MATCH_REQUIRED = "if-match-required", 428, "The request changes a resource and has no If-Match."
    TOO_MANY_REQUESTS = "too-many-requests", 429, "The rate limit is exceeded."
    TOO_MANY_ATTEMPTS = "too-many-attempts", 429, "Too many login attempts for this account or from this address."
    HEADERS_TOO_LARGE = "headers-too-large", 431, "The address and headers of the request are too large."
    INTERNAL = "internal", 500, "Unexpected error; it has been logged."
    FILE_DAMAGED = "file-damaged", 502, "The object store has a file of another size in place of this one."
    UNAVAILABLE = "unavailable", 503, "A required component is temporarily unavailable."
    HISTORY_UNAVAILABLE = "history-unavailable", 503, "Run history is temporarily unavailable; jobs still work."

    def __new__(cls, name: str, status: int, meaning: str) -> "ProblemType":
        """Create a member whose value is its name in the address."""
        member = object.__new__(cls)
        member._value_ = name
        member.status = status
        member.meaning = meaning
        return member

    @classmethod
    def from_name(cls, name: str) -> "ProblemType":
        """Return the type of this name, as in `not-found`. Raises ValueError for an unknown one."""
        for each in cls:
            if each.value == name:
                return each
        raise ValueError(f"unknown problem type {name}")

    @property
    def uri(self) -> str:
        """The stable address that a problem document has as its `type`."""
        return TYPE_BASE + str(self.value)


URIS = [each.uri for each in ProblemType]


def _check_uri(uri: str) -> str:
    if uri not in URIS:
        raise ValueError(f"should be one of {', '.join(URIS)}")
    return uri


ProblemUri = Annotated[
    str,
    AfterValidator(_check_uri),
    Field(
        description="the type of the problem, stable across releases",
        json_schema_extra={
            "enum": list(URIS),
            "x-enum-varnames": [each.name for each in ProblemType],
            "x-enum-descriptions": [each.meaning for each in ProblemType],
        },
    ),
]


@dataclass(frozen=True, slots=True)
class FieldError:
    """One invalid field of a request: a dotted path or a parameter's name, and what is wrong with it."""

    field: Annotated[str, Field(description="dotted path into the body, or the parameter's name")]
    message: Annotated[str, Field(description="what is wrong with it")]


class ProblemDocument(BaseModel):
    """An RFC 9457 problem document."""

    type: ProblemUri
    title: str = Field(description="the phrase of the HTTP status", examples=["Not Found"])
    status: int = Field(description="the HTTP status", examples=[404])
    detail: str = Field(description="what went wrong and what to do", examples=["There is no job with this id."])
    instance: str = Field(
        description="the path of the request", examples=["/api/v1/jobs/0192f0c1-7b1e-7000-8000-000000000000"]
    )
    errors: list[FieldError] | None = Field(None, description="of `invalid`: the invalid fields")
    run: UUID | None = Field(None, description="of `run-in-progress`: the run that prevents the request")
    cancel: str | None = Field(None, description="of `run-in-progress`: the path that cancels this run")
    certificate: UUID | None = Field(None, description="of `certificate-exists`: the existing certificate")
    jobs: list[UUID] | None = Field(None, description="of `destination-in-use`: the jobs that deliver to it")


EXTRAS: Mapping[ProblemType, Mapping[str, Any]] = {
    ProblemType.INVALID: {"errors": [{"field": "title", "message": "must have 1 to 200 characters"}]},
    ProblemType.RUN_IN_PROGRESS: {
        "run": "9a6f4a3e-0f57-5cc5-8a3e-8d3f3a0f0d5e",
        "cancel": "/api/v1/runs/9a6f4a3e-0f57-5cc5-8a3e-8d3f3a0f0d5e/cancel",
    },
    ProblemType.CERTIFICATE_EXISTS: {"certificate": "0192f0c1-7b1e-7000-8000-000000000004"},
    ProblemType.DESTINATION_IN_USE: {"jobs": ["5f0d0d1c-5a0e-4b1f-9c83-2a1d6a1f3b11"]},
}
"""The fields that problems of some types have in addition to those of all, with an example of each."""

ALWAYS = (
    ProblemType.UNAUTHENTICATED,
    ProblemType.ACCESS_DENIED,
    ProblemType.CROSS_SITE,
    ProblemType.INVALID,
    ProblemType.TOO_MANY_REQUESTS,
    ProblemType.UNAVAILABLE,
)
"""The problems that any operation may answer with."""


class Problem(Exception):
    """A response of 4xx or 5xx: `type` is stable, `detail` says what the caller can do about it."""

    def __init__(
        self,
        type: ProblemType,  # noqa: A002  # RFC 9457's name
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.type = type
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})

    @property
    def status(self) -> int:
        """The HTTP status, which the type determines."""
        return self.type.status

    def to_document(self, instance: str) -> dict[str, Any]:
        """Return the problem document; `instance` is the path of the request."""
        document = {
            "type": self.type.uri,
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
            **self.extra,
        }
        return document | ({"errors": [asdict(each) for each in self.errors]} if self.errors else {})

    def to_response(self, instance: str) -> JSONResponse:
        """Return the response; `instance` is the path of the request."""
        headers = SECURITY_HEADERS | self.headers
        return JSONResponse(self.to_document(instance), self.status, headers, media_type=MEDIA_TYPE)


def not_found(what: str) -> Problem:
    """Return the one problem for what does not exist and what belongs to another tenant (rule U3)."""
    return Problem(ProblemType.NOT_FOUND, f"There is no {what} with this id.")


def run_in_progress(run_id: UUID, detail: str) -> Problem:
    """Return the problem of a request that a run in progress prevents, with the run and the path that cancels it."""
    extra = {"run": str(run_id), "cancel": f"/api/v1/runs/{run_id}/cancel"}
    return Problem(ProblemType.RUN_IN_PROGRESS, detail, extra=extra)


def invalid_request(*errors: FieldError) -> Problem:
    """Return the problem of a request with these invalid fields."""
    names = ", ".join(dict.fromkeys(each.field for each in errors))
    return Problem(ProblemType.INVALID, f"Invalid: {names}. See errors.", errors=errors)


def error_responses(*types: ProblemType) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of an operation that may answer with these problems, in addition to `ALWAYS`."""
    by_status: dict[int | str, list[ProblemType]] = {}
    for each in dict.fromkeys((*ALWAYS, *types)):
        by_status.setdefault(each.status, []).append(each)
    return {status: _describe(problems) for status, problems in sorted(by_status.items(), key=lambda each: str(each))}


def _describe(types: Sequence[ProblemType]) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/ProblemDocument"}
    examples = {str(each.value): {"value": _example(each)} for each in types}
    return {
        "model": ProblemDocument,
        "description": " ".join(f"`{each.value}`: {each.meaning}" for each in types),
        "content": {MEDIA_TYPE: {"schema": schema, "examples": examples}},
    }


def _example(problem: ProblemType) -> dict[str, Any]:
    return Problem(problem, problem.meaning, extra=EXTRAS.get(problem)).to_document("/api/v1/jobs")
