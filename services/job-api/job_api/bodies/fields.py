"""The base of request bodies, and the types of their fields.

The document declares what is valid. What is parsed is wider: the domain decides, and reports every fault at once.
"""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from job_api.domain.drafts import (
    MAX_ATTEMPTS,
    MAX_DESCRIPTION,
    MAX_DESTINATIONS,
    MAX_KEEP_DAYS,
    MAX_RECIPIENTS,
    MAX_SPLIT_SIZE,
    MAX_TIMEFRAME_COUNT,
    MAX_TITLE,
    MAX_WITHIN_HOURS,
    MIN_SPLIT_SIZE,
)
from job_api.domain.schedules import MAX_INTERVAL
from shared.http.values import require_date
from shared.object_names import MAX_TEMPLATE_LENGTH, PLACEHOLDERS
from shared.record_filters import MAX_CONDITIONS, MAX_PATH, MAX_STEP_LENGTH, MAX_VALUE_LENGTH, MAX_VALUES

_MAX_BIGINT = 2**63 - 1
_MAX_TEXT = 20_000
_MAX_ITEMS = 100


def _require_bigint(value: int) -> int:
    if abs(value) > _MAX_BIGINT:
        raise ValueError("is too large")
    return value


def _integer(minimum: int, maximum: int) -> WithJsonSchema:
    return WithJsonSchema({"type": "integer", "minimum": minimum, "maximum": maximum})


def _text(minimum: int, maximum: int) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "minLength": minimum, "maxLength": maximum})


def _uuids(minimum: int, maximum: int) -> WithJsonSchema:
    items: dict[str, Any] = {"type": "string", "format": "uuid"}
    return WithJsonSchema(
        {"type": "array", "items": items, "minItems": minimum, "maxItems": maximum, "uniqueItems": True}
    )


class Body(BaseModel):
    """The JSON body of a request; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


BodyInstant = Annotated[datetime, BeforeValidator(require_date), Field(examples=["2027-01-04T06:00:00Z"])]
"""An RFC 3339 instant; that it has an offset is a rule of the domain (S6)."""

_Bigint = Annotated[int, Field(strict=True), AfterValidator(_require_bigint)]
Interval = Annotated[_Bigint, _integer(1, max(MAX_INTERVAL.values()))]
UnitCount = Annotated[_Bigint, _integer(1, MAX_TIMEFRAME_COUNT)]
SplitSize = Annotated[_Bigint, _integer(MIN_SPLIT_SIZE, MAX_SPLIT_SIZE)]
Attempts = Annotated[_Bigint, _integer(1, MAX_ATTEMPTS)]
JobTitle = Annotated[str, Field(max_length=_MAX_TEXT), _text(1, MAX_TITLE)]
JobDescription = Annotated[str, Field(max_length=_MAX_TEXT), _text(0, MAX_DESCRIPTION)]
MediaTypes = Annotated[tuple[Annotated[str, Field(max_length=200)], ...], Field(max_length=_MAX_ITEMS)]
_FilterText = Annotated[str, Field(max_length=_MAX_TEXT), _text(0, MAX_VALUE_LENGTH)]
_FilterNumber = Annotated[_Bigint, _integer(-_MAX_BIGINT, _MAX_BIGINT)]
_FilterValue = Annotated[bool, Field(strict=True)] | _FilterNumber | _FilterText | None
FilterValues = Annotated[tuple[_FilterValue, ...], Field(max_length=MAX_VALUES)]
FilterPath = Annotated[
    tuple[Annotated[str, Field(max_length=_MAX_TEXT), _text(0, MAX_STEP_LENGTH)], ...], Field(max_length=MAX_PATH)
]
CertificateIds = Annotated[tuple[UUID, ...], Field(max_length=_MAX_ITEMS), _uuids(1, MAX_RECIPIENTS)]
DestinationIds = Annotated[tuple[UUID, ...], Field(max_length=_MAX_ITEMS), _uuids(0, MAX_DESTINATIONS)]
ObjectTemplate = Annotated[str, Field(max_length=_MAX_TEXT), _text(1, MAX_TEMPLATE_LENGTH)]
DeliveryHours = Annotated[_Bigint, _integer(1, MAX_WITHIN_HOURS)]
KeepDays = Annotated[_Bigint, _integer(0, MAX_KEEP_DAYS)]

TITLE_HELP = f"1 to {MAX_TITLE} characters after trimming"
DESCRIPTION_HELP = f"at most {MAX_DESCRIPTION:,} characters"
SOURCE_HELP = "as listed by `GET /api/v1/sources`"
MEDIA_TYPES_HELP = "null: all; contacts have none"
FILTER_HELP = (
    f"at most {MAX_CONDITIONS} conditions, all of which a record must meet; attachments follow their interaction; "
    "null or empty: every record"
)
FILTER_COLUMN_HELP = "a key of the record, as in its JSON Schema; `tenantId` is always your own"
FILTER_OPERATOR_HELP = (
    "text: `eq`, `ne`, `in`, `prefix`, `exists`; whole numbers: `eq`, `ne`, `in`, `range`, `exists`; instants: "
    "`range`, `exists`; true or false: `eq`, `ne`, `exists`; lists: `eq`, `ne`, `in`, `exists`, on any of their "
    "elements. A record without a value meets `ne` and `exists` false only"
)
FILTER_VALUES_HELP = (
    f"one value; 1 to {MAX_VALUES} for `in`; for `range` two, from the first up to, but not including, the second, "
    "null being unbounded; for `exists` true (if omitted) or false"
)
FILTER_PATH_HELP = f"1 to {MAX_PATH} keys that lead to a value in `allAttributes` or `attributes`, compared as text"
INTERVAL_HELP = (
    f"the interval: 1 to {MAX_INTERVAL['hourly']} hours, or 1 to {MAX_INTERVAL['daily']:,} days, weeks or months; "
    "1 if omitted; `once` has none"
)
START_HELP = "the first instant, with its offset from UTC; omitted with `immediately`"
UNIT_COUNT_HELP = "of `last`: the number of units before the slot"
SPLIT_SIZE_HELP = "the maximum size of each file in bytes of uncompressed records, 1 MiB or more; null: a single file"
CERTIFICATES_HELP = "ids of the recipients' certificates; null: those active when a run starts"
COMPRESSION_HELP = "`small` takes longer and makes smaller files"
CIPHER_HELP = "`aes-256-gcm` files open with `openssl cms` only"
CATCH_UP_HELP = "which slots run that were missed while no scheduler ran"
OVERLAP_HELP = "what happens to a slot while the previous run is in progress"
ATTEMPTS_HELP = "how many times a run is attempted"
DELIVERY_HELP = "where the files of each run are delivered, and how; null: they stay in Sluice's own store only"
DESTINATIONS_HELP = "ids of the destinations that receive every file of every run"
TEMPLATE_HELP = "the names of the objects below the destination's prefix; placeholders: " + "; ".join(
    f"`{{{name}}}`, {meaning}" for name, meaning in PLACEHOLDERS.items()
)
OVERWRITE_HELP = "whether an object of the same name with other content is replaced; otherwise the delivery fails"
WITHIN_HOURS_HELP = "for how many hours a delivery is tried again before it fails"
KEEP_DAYS_HELP = (
    "for how many days Sluice keeps the files once all destinations have them; null: the tenant's retention"
)
