"""The services that the handlers of pages use."""

from dataclasses import dataclass
from typing import cast

from starlette.requests import Request

from job_api.history_client import HistoryClient
from job_api.service import Access, Certificates, Door, Estimates, Jobs, Users
from shared.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class PageServices:
    """The services behind the pages; `sign_in_title` names the identity provider on the login page, if there is one."""

    access: Access
    login: Door
    jobs: Jobs
    certificates: Certificates
    users: Users
    estimates: Estimates
    history: HistoryClient
    clock: Clock
    sign_in_title: str | None = None


def get_services(request: Request) -> PageServices:
    """Return the services of the application that handles a request."""
    return cast("PageServices", request.app.state.services)
