"""Documents that responses of both services have, and documents as responses."""

from datetime import datetime

from pydantic import BaseModel, Field
from starlette.responses import Response

_NO_HEADERS: dict[str, str] = {}


class TimeEstimate(BaseModel):
    """The time remaining until a run ends, in seconds: the median, and a band that holds 80 of 100 ends."""

    seconds: float = Field(description="median", examples=[42.0])
    low: float = Field(description="10th percentile", examples=[35.5])
    high: float = Field(description="90th percentile", examples=[55.0])
    estimated_at: datetime = Field(description="when it was estimated", examples=["2026-11-24T10:00:26.100Z"])


def to_response(document: BaseModel, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a document as a JSON response; it is not validated a second time, as the framework would."""
    return Response(document.model_dump_json(), status, headers or _NO_HEADERS, "application/json")
