"""The addresses of the pages that show what history knows."""

from collections.abc import Awaitable, Callable
from functools import partial

import httpx
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from job_api.history_client import Log
from job_api.pages.runs import artifacts, run_list
from job_api.pages.runs.run_details import run_details
from job_api.service import Access
from shared.clock import Clock


def log_pages(access: Access, client: httpx.AsyncClient | None, clock: Clock) -> list[Route]:
    """Return the routes of History, run details and Artifacts."""
    log = Log(client, clock)

    def page(path: str, handler: Callable[[Request], Awaitable[Response]], method: str = "GET") -> Route:
        return Route(path, handler, methods=[method])

    return [
        page("/runs", partial(run_list.run_list, access, log)),
        page("/runs/chosen", partial(run_list.acting, access, log, clock), "POST"),
        page("/runs/{run_id:uuid}", partial(run_details, access, log)),
        page("/artifacts", partial(artifacts.artifact_list, access, log)),
        page("/artifacts/chosen", partial(artifacts.acting, access, log), "POST"),
        page("/artifacts/sets/{run_id:uuid}/{kind}", partial(artifacts.download_set, access, log)),
        page("/artifacts/{artifact_id:uuid}", partial(artifacts.download, access, log)),
    ]
