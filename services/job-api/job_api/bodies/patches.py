"""The body that changes some settings of a job: a JSON merge patch (RFC 7396)."""

from collections.abc import Mapping
from typing import Any, cast
from uuid import UUID

from fastapi.exceptions import RequestValidationError
from pydantic import ConfigDict, Field, ValidationError

from job_api import domain
from job_api.bodies.drafts import (
    ATTEMPT_LIMITS,
    CERTIFICATES,
    COUNT_LIMITS,
    DESCRIPTION,
    EVERY,
    EVERY_LIMITS,
    MAX_MEDIA_TYPES,
    MAX_TEXT,
    SPLIT_LIMITS,
    SPLIT_SIZE,
    TITLE,
    JobDraft,
)
from job_api.bodies.fields import Body, BodyInstant, MediaType, Whole
from job_api.domain.drafts import MAX_DESCRIPTION, MAX_RECIPIENTS, MAX_TITLE
from shared.events.values import (
    CatchUp,
    Cipher,
    Compression,
    Overlap,
    RecordType,
    ScheduleKind,
    TimeframeKind,
    TimeUnit,
)

# A field that is not sent is left as it is, so no default is ever read; null, where it is allowed, restores the
# setting's own default.
_UNSET: Any = None


class SchedulePatch(Body):
    """Changes to a schedule; another `kind` starts without any field of the present one."""

    kind: ScheduleKind = _UNSET
    every: Whole | None = Field(_UNSET, description=EVERY, json_schema_extra=EVERY_LIMITS)
    immediately: bool | None = Field(_UNSET, strict=True, description="start now; `start` is then omitted")
    start: BodyInstant | None = Field(_UNSET, description="the first instant, with its offset from UTC")


class TimeframePatch(Body):
    """Changes to a timeframe; another `kind` starts without any field of the present one."""

    kind: TimeframeKind | None = _UNSET
    start: BodyInstant | None = Field(_UNSET, description="of `fixed`")
    end: BodyInstant | None = Field(_UNSET, description="of `fixed`")
    count: Whole | None = Field(
        _UNSET, description="of `last`: the number of units before the slot", json_schema_extra=COUNT_LIMITS
    )
    unit: TimeUnit | None = Field(_UNSET, description="of `last`")


class JobPatch(Body):
    """Changes to the settings of a job: a field that is omitted stays as it is, null restores its default."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{"title": "The same, for the regulator", "split_size": None}]},
    )

    title: str = Field(
        _UNSET, max_length=MAX_TEXT, description=TITLE, json_schema_extra={"minLength": 1, "maxLength": MAX_TITLE}
    )
    description: str | None = Field(
        _UNSET, max_length=MAX_TEXT, description=DESCRIPTION, json_schema_extra={"maxLength": MAX_DESCRIPTION}
    )
    source: str = Field(_UNSET, max_length=100, description="as listed by `GET /api/v1/sources`")
    type: RecordType = _UNSET
    media_types: tuple[MediaType, ...] | None = Field(
        _UNSET, max_length=MAX_MEDIA_TYPES, description="null: all; contacts have none"
    )
    schedule: SchedulePatch = _UNSET
    timeframe: TimeframePatch | None = _UNSET
    split_size: Whole | None = Field(_UNSET, description=SPLIT_SIZE, json_schema_extra=SPLIT_LIMITS)
    certificates: tuple[UUID, ...] | None = Field(
        _UNSET, max_length=100, description=CERTIFICATES, json_schema_extra={"maxItems": MAX_RECIPIENTS}
    )
    compression: Compression | None = _UNSET
    cipher: Cipher | None = _UNSET
    catch_up: CatchUp | None = _UNSET
    overlap: Overlap | None = _UNSET
    attempts: Whole | None = Field(_UNSET, json_schema_extra=ATTEMPT_LIMITS)


def patch_job(job: domain.Job, patch: JobPatch) -> domain.Draft:
    """Return the draft of a job's next version. Raises RequestValidationError."""
    return apply_patch(JobDraft.from_job(job).model_dump(mode="json"), patch)


def apply_patch(document: Mapping[str, Any], patch: JobPatch) -> domain.Draft:
    """Return the draft of a job's document after a merge patch.

    Another kind of schedule or timeframe starts without any field of the present one, and a new start replaces
    "immediately". Raises RequestValidationError.
    """
    changes, document = patch.model_dump(mode="json", exclude_unset=True), dict(document)
    for name in ("schedule", "timeframe"):
        if isinstance(part := changes.get(name), dict):
            before = document[name] = dict(document.get(name) or {})
            if part.get("kind", before.get("kind")) != before.get("kind"):
                document[name] = {}
            elif name == "schedule" and "start" in part and "immediately" not in part:
                before.pop("immediately", None)
    try:
        return JobDraft.model_validate(_merge(document, changes)).to_domain()
    except ValidationError as error:
        faults = error.errors(include_context=False)
        raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in faults]) from None


def _merge(target: object, patch: object) -> object:
    """Merge a patch into a document (RFC 7396, section 2)."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(cast("dict[str, Any]", target)) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merge(merged.get(name), value)
    return merged
