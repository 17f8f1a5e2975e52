"""What the query of every list has: how many, in which order, and from where on (I4); filters are each list's own."""

import base64
import binascii
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from job_api.api.drafts import dated
from job_api.errors import Fault, Invalid
from job_api.store.listing import Kind, Listing, Page, Place, Wish
from shared.events.values import Role

LIMIT, LIMIT_MOST = 50, 200
CURSOR_MOST = 2_000
SORT_WORDS = "a column; with - in front, descending"
_LAST = ("infinity", "-infinity")


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("is beyond the years that there are") from None


When = Annotated[AwareDatetime, BeforeValidator(dated), AfterValidator(_in_utc)]
"""An instant with its offset, read in UTC: PostgreSQL takes smaller offsets than RFC 3339 allows."""
Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]

HeldRole = Role | Literal["none"]
"""What somebody's roles are filtered by."""


class ListQuery(BaseModel):
    """What to list, and how; whoever derives from it says which list, its orders, and its filters by their names."""

    model_config = ConfigDict(extra="forbid")
    listing: ClassVar[Listing]

    limit: int = Field(LIMIT, ge=1, le=LIMIT_MOST, description="how many at most")
    cursor: str | None = Field(None, max_length=CURSOR_MOST, description="`next` of the page before")
    sort: str

    def to_wish(self) -> Wish:
        """Return the wish for the store. Raises Invalid for a cursor of another list, or of another order."""
        column = self.sort.removeprefix("-")
        wanted = {name: getattr(self, name) for name in self.listing.filters}
        kinds = (self.listing.sorts[column][1], self.listing.key_kind)
        return Wish(
            sort=column,
            descending=self.sort.startswith("-"),
            filters={name: str(value) for name, value in wanted.items() if value is not None},
            limit=self.limit,
            after=place(self.cursor, self._order, kinds) if self.cursor is not None else None,
        )

    def next_of(self, page: Page[Any]) -> str | None:
        """Return the cursor of the page after this one."""
        return cursor(self._order, page.after) if page.after else None

    @property
    def _order(self) -> str:
        return f"{self.listing.query} {self.sort}"


def cursor(order: str, after: Place) -> str:
    """Return a place in a list of this order as text, opaque to callers."""
    told = json.dumps([order, *after], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(told.encode()).decode().rstrip("=")


def place(text: str, order: str, kinds: tuple[Kind, Kind]) -> Place:
    """Read a cursor of a list of this order, whose values are of these kinds. Raises Invalid."""
    try:
        known, value, item = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        found = _READ[kinds[0]](value), _READ[kinds[1]](item)
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError, binascii.Error):
        known = found = None
    if found is None or known != order:
        raise Invalid(Fault("cursor", "is not one that this list gave, in this order: begin without one"))
    return found


def _text(value: str) -> str:
    # PostgreSQL stores neither, so no list has given it.
    if "\0" in value:
        raise ValueError(value)
    value.encode()
    return value


def _instant(value: str) -> str:
    if value in _LAST:
        return value
    at = datetime.fromisoformat(value)
    if at.tzinfo is None:
        raise ValueError(value)
    return str(at.astimezone(UTC))


def _whole(most: int) -> Callable[[str], str]:
    digits = re.compile(rf"\d{{1,{most}}}", re.ASCII)

    def read(value: str) -> str:
        if not digits.fullmatch(value):
            raise ValueError(value)
        return value

    return read


_READ: dict[Kind, Callable[[str], str]] = {
    "text": _text,
    "timestamptz": _instant,
    "integer": _whole(9),
    "bigint": _whole(18),
    "uuid": lambda value: str(UUID(value)),
}
