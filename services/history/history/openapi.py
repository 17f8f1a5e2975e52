"""`python -m history.openapi`: writes history's OpenAPI document to `shared/schemas/openapi`."""

from typing import Any

from history.app import create_api
from shared.http.openapi_files import write_document
from shared.lifecycle import Health


async def _authenticate_nobody(_: object) -> None:
    """The document needs routes, not callers."""


def build_document() -> dict[str, Any]:
    """Return the document of all operations of history."""
    return create_api(Health(), _authenticate_nobody).openapi()


if __name__ == "__main__":
    write_document("history", build_document())
