"""The services that the handlers of pages use."""

from dataclasses import dataclass
from typing import cast

from starlette.requests import Request

from job_api.history_client import HistoryClient
from job_api.service import (
    AccessService,
    AuditService,
    CertificateService,
    DestinationService,
    DraftService,
    JobService,
    LoginService,
    RequestedRunService,
    SizeEstimator,
    TenantService,
    UserService,
)
from job_api.sign_in import SignInFlow
from job_api.store import UnitOfWorkFactory
from shared.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class PageServices:
    """The services behind the pages; `sign_in` leads to an identity provider, if one is configured."""

    units: UnitOfWorkFactory
    access: AccessService
    login: LoginService
    jobs: JobService
    requested_runs: RequestedRunService
    audit: AuditService
    drafts: DraftService
    certificates: CertificateService
    destinations: DestinationService
    users: UserService
    tenants: TenantService
    estimator: SizeEstimator
    history: HistoryClient
    clock: Clock
    sign_in: SignInFlow | None = None


def get_services(request: Request) -> PageServices:
    """Return the services of the application that handles a request."""
    return cast("PageServices", request.app.state.services)
