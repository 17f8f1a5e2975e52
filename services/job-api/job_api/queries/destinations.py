"""The query parameters of the list of destinations."""

from typing import ClassVar, Literal

from pydantic import Field

from job_api.store.lists import DESTINATIONS
from shared.events.values import DestinationKind, DestinationState
from shared.http.lists import ListQuery, sort_field
from shared.http.values import Instant, SearchText


class DestinationQuery(ListQuery):
    """Which destinations to list, and in which order."""

    rows: ClassVar = DESTINATIONS

    sort: str = sort_field(DESTINATIONS)
    search: SearchText | None = Field(None, description="contained in the name, ignoring case")
    kind: DestinationKind | None = Field(None, description="the kind of storage")
    state: DestinationState | None = Field(None, description="whether the destination is active or disabled")
    test_state: Literal["untested", "passed", "failed"] | None = Field(None, description="how the latest test ended")
    created_from: Instant | None = Field(None, description="created at this instant or later")
    created_until: Instant | None = Field(None, description="created before this instant")
