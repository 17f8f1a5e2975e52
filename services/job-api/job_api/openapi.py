"""The OpenAPI document of the whole installation: the operations of job-api and, passed on to it, those of history.

`python -m job_api.openapi` writes job-api's own document and that of the installation to `shared/schemas/openapi`.
"""

from functools import cache
from typing import Any, cast

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shared.http.openapi_files import merge_documents, read_document

OWN_PATH = "/api/v1/openapi/job-api.json"
_DESCRIPTION = (
    "Scheduled, encrypted bulk exports of contact history. The documents of single services are at "
    "/api/v1/openapi/job-api.json and /api/v1/openapi/history.json."
)


def build_document(app: FastAPI) -> dict[str, Any]:
    """Return the document of all operations that clients reach at the public address."""
    return merge_documents("Sluice", _DESCRIPTION, app.openapi(), read_document("history"))


async def get_document(request: Request) -> Response:
    """Respond with the document of the installation."""
    state = request.app.state
    if not hasattr(state, "installation_document"):
        state.installation_document = build_document(request.app)
    return JSONResponse(state.installation_document)


async def get_history_document(request: Request) -> Response:
    """Respond with the document of history."""
    return JSONResponse(_read_history_document())


@cache
def _read_history_document() -> dict[str, Any]:
    return read_document("history")


def document_routes() -> list[Route]:
    """Return the routes of the documents that the framework does not serve itself."""
    return [
        Route("/api/v1/openapi.json", get_document),
        Route("/api/v1/openapi/history.json", get_history_document),
    ]


def main() -> None:
    """Write the documents to their files."""
    from job_api.app import create_web_app
    from job_api.store.database import Pools
    from shared.clock import SystemClock
    from shared.http.openapi_files import write_document
    from shared.lifecycle import Health

    # A document is built from the routes alone; nothing reads the database.
    app = create_web_app(cast("Pools", None), clock=SystemClock(), health=Health())
    write_document("job-api", app.openapi())
    write_document("sluice", build_document(app))


if __name__ == "__main__":
    main()
