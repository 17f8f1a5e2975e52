"""Counts the requests that a limit refuses, by the limit: bounded reasons, never an address or an identity."""

from collections.abc import Mapping

from shared.observe import HTTP_REFUSED

REASONS: Mapping[int, str] = {
    400: "malformed",
    408: "timed-out",
    413: "body-too-large",
    429: "too-many",
    431: "head-too-large",
    503: "busy",
}
"""What a status says of a refused request. 400 and 503 count only where no application has seen the request."""
OF_APPLICATIONS = frozenset({413, 429})
"""The statuses with which an application refuses a request because of a limit."""
for _reason in REASONS.values():
    HTTP_REFUSED.labels(_reason)


def count_refusal(status: int) -> None:
    """Count a request that is refused with this status before an application sees it, or by its limits."""
    HTTP_REFUSED.labels(REASONS[status]).inc()
